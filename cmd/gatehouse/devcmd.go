package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/door/web"
)

func newDevCommand() *cobra.Command {
	var listen, dir string
	pages := &cobra.Command{Use: "pages", Short: "Show every page in every state (the storybook)", Args: takes(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir != "" {
				return web.WriteStories(dir)
			}
			if host, _, ok := hostPort(listen); !ok || !loopback(host) {
				return usagef("--listen wants an address of this machine, like 127.0.0.1:8490")
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Every page in every state: http://%s/\nStop with Ctrl-C.\n", listen)
			failed := make(chan error, 1)
			go func() { failed <- web.ServeStories(listen) }()
			select {
			case err := <-failed:
				return err
			case <-cmd.Context().Done():
				return nil
			}
		}}
	pages.Flags().StringVar(&listen, "listen", "127.0.0.1:8490", "where to show them")
	pages.Flags().StringVar(&dir, "dir", "", "write them as files into this folder instead")
	return group("dev", "For those who work on Gatehouse", pages, newPhoneCommand())
}
