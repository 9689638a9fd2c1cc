package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/apps"
	"github.com/gatehouse-id/gatehouse/internal/manage"
)

func newAppsCommand() *cobra.Command {
	return withConfig(group("apps", "Applications: add, list, rotate-secret, close, open, remove", newAppsAdd(),
		&cobra.Command{Use: "list", Short: "List applications", Args: takes(0, ""), RunE: asOperator(listApps)},
		newAppsRotate(), newAppsClosed("close", "Close an application: nothing is issued and its tokens are worth nothing", true),
		newAppsClosed("open", "Open a closed application again", false), newAppsRemove()))
}

func newAppsAdd() *cobra.Command {
	var a apps.Application
	var public, withoutPKCE, opaque bool
	c := &cobra.Command{Use: "add NAME", Short: "Register an OpenID Connect application", Args: takes(1, "the application's name"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			a.Name = args[0]
			a.OIDC.WithoutPKCE, a.OIDC.OpaqueAccessToken = withoutPKCE, opaque
			if public {
				a.OIDC.TokenAuth = apps.AuthNone
			}
			made, shown, err := h.manage.AddApplication(ctx, by, a, !public)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "Registered %s.\nissuer:         %s\nclient_id:      %s\n", made.Name, h.issuer(), made.OIDC.ClientID)
			if !public {
				fmt.Fprintf(out, "client_secret:  %s\nThe secret is shown this once; only a hash is kept.\n", shown.Reveal())
			}
			return nil
		})}
	f := c.Flags()
	f.StringSliceVar(&a.OIDC.RedirectURIs, "redirect-uri", nil, "where sign-ins end, compared to the letter (may be repeated)")
	f.StringSliceVar(&a.OIDC.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "where sign-outs end (may be repeated)")
	f.StringSliceVar(&a.OIDC.GrantTypes, "grant-type", nil, "authorization_code (default), refresh_token, client_credentials")
	f.StringSliceVar(&a.OIDC.Scopes, "scope", nil, "a scope that it may ask for (may be repeated)")
	f.StringVar(&a.OIDC.ClientID, "client-id", "", "the client id; one is made where this is empty")
	f.StringVar(&a.OIDC.IDTokenAlg, "id-token-alg", "", "ES256 (default) or RS256")
	f.StringVar(&a.OIDC.TokenAuth, "token-auth", "", "client_secret_basic (default) or client_secret_post")
	f.StringVar(&a.Category, "category", "", "category, which rules may name")
	f.StringVar(&a.Audience, "audience", "", "the group that sees it in the catalogue; empty: everybody")
	f.StringVar(&a.URL, "url", "", "where members start it")
	f.BoolVar(&public, "public", false, "a client that cannot keep a secret")
	f.BoolVar(&withoutPKCE, "without-pkce", false, "let a confidential client do without PKCE")
	f.BoolVar(&opaque, "opaque-access-token", false, "issue opaque access tokens instead of JWTs")
	return c
}

func listApps(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, _ []string) error {
	all, err := h.manage.Applications(ctx, by)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tCLIENT ID\tCATEGORY\tSTATE\tURL")
	for _, a := range all {
		state := "open"
		if a.Closed {
			state = "closed"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.Name, a.OIDC.ClientID, a.Category, state, a.URL)
	}
	return w.Flush()
}

func newAppsRotate() *cobra.Command {
	var atOnce bool
	c := &cobra.Command{Use: "rotate-secret CLIENT_ID", Short: "Give an application a new secret", Args: takes(1, "one client id"),
		Long: "The present secret goes on working beside the new one until the next change, so that both sides need not change at once.",
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			shown, err := h.manage.RotateSecret(ctx, by, args[0], atOnce)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "client_secret:  %s\nThe secret is shown this once; only a hash is kept.\n", shown.Reveal())
			return err
		})}
	c.Flags().BoolVar(&atOnce, "at-once", false, "the present secret stops working now")
	return c
}

func newAppsClosed(use, short string, closed bool) *cobra.Command {
	return &cobra.Command{Use: use + " CLIENT_ID", Short: short, Args: takes(1, "one client id"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			if err := h.manage.SetClosed(ctx, by, args[0], closed); err != nil {
				return err
			}
			done := "open"
			if closed {
				done = "closed"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is %s.\n", args[0], done)
			return err
		})}
}

func newAppsRemove() *cobra.Command {
	return &cobra.Command{Use: "remove CLIENT_ID", Short: "Delete an application for good; closing can be undone", Args: takes(1, "one client id"),
		RunE: asOperator(func(ctx context.Context, cmd *cobra.Command, h *house, by manage.By, args []string) error {
			if err := h.manage.RemoveApplication(ctx, by, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is removed.\n", args[0])
			return err
		})}
}
