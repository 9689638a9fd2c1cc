package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// The key file holds the keys under which everything secret in the database is sealed: one line a key, its number
// and 32 bytes in base64. The highest number seals; older ones open what they sealed. It lies outside the database
// and its backups: whoever has both has everything, whoever lost it has lost what is sealed.
const keyFileHead = "# Gatehouse key file. Keep it apart from the database and its backups, and keep a copy in a safe.\n"

// maxKeyFile bounds what is read of it, in bytes: a thousand keys.
const maxKeyFile = 64 << 10

// readKeyFile refuses a file that others may read. What is judged is the file that is read, not its name.
func readKeyFile(name string) (*secret.Keyring, map[uint32][]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no key file %s: \"gatehouse init\" makes one; after a restore, put yours back", name)
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, nil, fmt.Errorf("%s may be read by others (mode %04o): run \"chmod 600 %s\"", name, info.Mode().Perm(), name)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, nil, err
	}
	keys := map[uint32][]byte{}
	scan := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSpace(scan.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		number, value, _ := strings.Cut(line, " ")
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil || id == 0 {
			return nil, nil, usagef("%s:%d:1: write a number from 1, a space and the key", name, n)
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
		if err != nil || len(key) != 32 || keys[uint32(id)] != nil {
			return nil, nil, usagef("%s:%d:%d: a key is 32 bytes in base64, and each number stands once", name, n, len(number)+2)
		}
		keys[uint32(id)] = key
	}
	if err := scan.Err(); err != nil {
		return nil, nil, err
	}
	ring, err := secret.NewKeyring(keys)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return ring, keys, nil
}

// makeKeyFile writes a new one with one key; an existing file is never touched.
func makeKeyFile(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(keyFileHead + keyLine(1))
	return errors.Join(err, f.Sync(), f.Close())
}

// addKey puts a further key into the file, by way of a new file, so that a crash leaves one of the two whole.
func addKey(name string, have map[uint32][]byte) (uint32, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	var newest uint32
	for id := range have {
		newest = max(newest, id)
	}
	newest++
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		raw = append(raw, '\n')
	}
	return newest, replaceFile(name, append(raw, keyLine(newest)...))
}

func keyLine(id uint32) string {
	key := make([]byte, 32)
	rand.Read(key)
	return fmt.Sprintf("%d %s\n", id, base64.StdEncoding.EncodeToString(key))
}

// replaceFile writes content beside name and moves it into place, for its owner alone.
func replaceFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
