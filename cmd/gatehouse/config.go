package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/yamlfile"
)

// config is what `gatehouse serve` runs with: one YAML file, read strictly. docs/configuration.md explains each key.
// Paths are absolute or relative to the file.
type config struct {
	BaseURL *url.URL // scheme and host alone; issuer, origins and cookies follow from it, never from a request
	RPID    string   // WebAuthn relying-party ID: the host of BaseURL
	Listen  string   // host:port
	// TLSCert and TLSKey are PEM files; both or neither.
	TLSCert, TLSKey string
	// Proxies are the networks whose X-Forwarded-For counts; empty: nobody's.
	Proxies []netip.Prefix
	// Database is a file's path or a postgres:// URL. It may carry a password.
	Database secret.String
	Postgres bool
	KeyFile  string // master keys
	Node     string // names this process in the audit chains
	SMTP     *smtpConfig
	Metrics  string // host:port of the metrics listener, or ""
	LogLevel string // debug, info, warn, error
	LogJSON  bool
	Campus   string // the campus file, or ""
	Argon2   argon2Config
	Breached string // the operator's own list of breached passwords, or ""
	// Checkpoints is the file that signed heads of the audit chains are appended to, or "".
	Checkpoints string
	App         *appConfig  // nil: the authenticator app is not offered
	Text        *textConfig // nil: no codes by text message or call
	Places      string      // a table of places in MaxMind DB format, or "" for the countries in the binary
}

type smtpConfig struct {
	Host         string
	Port         int // 0: by Security
	User         string
	PasswordFile string
	From         string
	FromName     string
	Security     string // starttls, tls, none
}

// argon2Config: zeroes take the method's own defaults (19 MiB, 2 passes, 1 lane).
type argon2Config struct {
	MemoryKiB, Passes, Lanes int
	Workers, Queue           int
}

type configFile struct {
	BaseURL   string          `yaml:"base_url,required"`
	Listen    string          `yaml:"listen,required"`
	TLS       *configTLS      `yaml:"tls"`
	Proxy     *configProxy    `yaml:"behind_proxy"`
	Database  string          `yaml:"database,required"`
	KeyFile   string          `yaml:"key_file,required"`
	Node      string          `yaml:"node"`
	SMTP      *configSMTP     `yaml:"smtp"`
	Metrics   *configMetrics  `yaml:"metrics"`
	Log       configLog       `yaml:"log"`
	Campus    string          `yaml:"campus"`
	Passwords configPasswords `yaml:"passwords"`
	Audit     configAudit     `yaml:"audit"`
	App       *configApp      `yaml:"app"`
	Text      *configText     `yaml:"text"`
	Places    configPlaces    `yaml:"places"`
}

type configTLS struct {
	Cert string `yaml:"cert,required"`
	Key  string `yaml:"key,required"`
}

type configProxy struct {
	From []string `yaml:"from,required"`
}

type configSMTP struct {
	Host         string `yaml:"host,required"`
	Port         int    `yaml:"port"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	From         string `yaml:"from,required"`
	FromName     string `yaml:"from_name"`
	Security     string `yaml:"security"`
}

type configMetrics struct {
	Listen string `yaml:"listen,required"`
}

type configLog struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

type configPasswords struct {
	Argon2   configArgon2 `yaml:"argon2"`
	Workers  int          `yaml:"workers"`
	Queue    int          `yaml:"queue"`
	Breached string       `yaml:"breached_list"`
}

type configArgon2 struct {
	Memory int `yaml:"memory_kib"`
	Passes int `yaml:"passes"`
	Lanes  int `yaml:"lanes"`
}

type configPlaces struct {
	File string `yaml:"file,required"`
}

type configAudit struct {
	Checkpoints string `yaml:"checkpoints"`
}

// loadConfig reads the server's configuration. Its error says file, line, column and what to write.
func loadConfig(path string) (config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return config{}, fmt.Errorf("the configuration file cannot be read: %w", err)
	}
	if info.Size() > yamlfile.MaxBytes {
		return config{}, fmt.Errorf("%s is longer than 1 MiB: this is no configuration file", path)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return config{}, fmt.Errorf("the configuration file cannot be read: %w", err)
	}
	return parseConfig(path, src)
}

// parseConfig is loadConfig without the disk.
func parseConfig(path string, src []byte) (config, error) {
	var w configFile
	f, err := yamlfile.Decode(path, src, &w)
	if err != nil {
		return config{}, err
	}
	r := configReader{f, filepath.Dir(path)}
	c := config{Node: w.Node, KeyFile: r.path(w.KeyFile), Campus: r.path(w.Campus), Breached: r.path(w.Passwords.Breached),
		Checkpoints: r.path(w.Audit.Checkpoints), Places: r.path(w.Places.File)}
	if c.Node == "" {
		c.Node = "main"
	}
	if strings.ContainsFunc(c.Node, func(x rune) bool { return !(x >= 'a' && x <= 'z' || x >= '0' && x <= '9' || x == '-') }) || len(c.Node) > 63 {
		f.At("node", "write lower-case letters, digits and hyphens, different on every node")
	}
	if strings.TrimSpace(w.KeyFile) == "" {
		f.At("key_file", "write the path of the file that `gatehouse init` puts the master key into")
	}
	r.address(&c, w)
	r.exposure(&c, w)
	r.database(&c, w.Database)
	r.smtp(&c, w.SMTP)
	r.passwords(&c, w.Passwords)
	r.observing(&c, w)
	r.app(&c, w.App)
	r.text(&c, w.Text)
	if err := f.Err(); err != nil {
		return config{}, err
	}
	return c, nil
}

type configReader struct {
	file *yamlfile.File
	dir  string
}

// path makes a path that is relative to the file one that is relative to the working directory.
func (r configReader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, p)
}

// address reads base_url: what everything that names this house is derived from.
func (r configReader) address(c *config, w configFile) {
	u, err := url.Parse(w.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		r.file.At("base_url", "write the address that members see, like https://signin.example.ac.uk")
		return
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(w.BaseURL, "#") || u.User != nil:
		r.file.At("base_url", "write scheme and host alone: %s://%s (Gatehouse has a host name of its own, not a path)", u.Scheme, u.Host)
		return
	case u.Host != strings.ToLower(u.Host):
		r.file.At("base_url", "write the host in lower case: %s://%s", u.Scheme, strings.ToLower(u.Host))
		return
	case net.ParseIP(u.Hostname()) != nil || strings.HasSuffix(u.Hostname(), "."):
		r.file.At("base_url", "write a host name: passkeys are bound to a name, not to %s (for trying on one machine: http://localhost:8080)", u.Hostname())
		return
	case u.Scheme == "http" && u.Hostname() != "localhost":
		r.file.At("base_url", "write https:// (plain http only for http://localhost: elsewhere browsers give neither passkeys nor secure cookies)")
		return
	}
	u.Path = ""
	c.BaseURL, c.RPID = u, u.Hostname()
}

// exposure judges listen, tls and behind_proxy together: no password travels unprotected.
func (r configReader) exposure(c *config, w configFile) {
	c.Listen = w.Listen
	host, _, ok := hostPort(w.Listen)
	if !ok {
		r.file.At("listen", "write host:port, like 127.0.0.1:8080, or :443 for every address of this machine")
		return
	}
	if w.TLS != nil {
		c.TLSCert, c.TLSKey = r.path(w.TLS.Cert), r.path(w.TLS.Key)
	}
	if w.Proxy != nil {
		r.proxies(c, w.Proxy.From)
	}
	if c.BaseURL == nil {
		return
	}
	switch {
	case c.BaseURL.Scheme == "http" && w.TLS != nil:
		r.file.At("base_url", "tls is configured, so members see https: write https://%s", c.BaseURL.Host)
	case c.BaseURL.Scheme == "http" && w.Proxy == nil && !loopback(host):
		r.file.At("listen", "without TLS only this machine may connect: write 127.0.0.1:PORT, or configure tls or behind_proxy")
	case c.BaseURL.Scheme == "https" && w.TLS == nil && w.Proxy == nil:
		r.file.At("base_url", "https needs tls: {cert: FILE, key: FILE}, or behind_proxy: {from: [NETWORK]} where a proxy holds the certificate")
	}
}

func (r configReader) proxies(c *config, from []string) {
	if len(from) == 0 {
		r.file.At("behind_proxy.from", "write the proxy's address or network, like [10.0.0.5, 10.1.0.0/24]")
	}
	for i, text := range from {
		at := fmt.Sprintf("behind_proxy.from[%d]", i)
		prefix, err := netip.ParsePrefix(text)
		if addr, e := netip.ParseAddr(text); e == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			r.file.At(at, "write an address or a network, like 10.0.0.5 or 10.1.0.0/24")
		case prefix.Bits() == 0:
			r.file.At(at, "this is everybody: write the proxy's own address, or anyone could name any caller's address")
		case prefix != prefix.Masked():
			r.file.At(at, "write the network as %s", prefix.Masked())
		default:
			c.Proxies = append(c.Proxies, prefix)
		}
	}
}

func (r configReader) database(c *config, text string) {
	switch {
	case strings.HasPrefix(text, "postgres://"), strings.HasPrefix(text, "postgresql://"):
		u, err := url.Parse(text)
		if err != nil || u.Host == "" && u.Query().Get("host") == "" || strings.Trim(u.Path, "/") == "" && u.Query().Get("dbname") == "" {
			r.file.At("database", "write postgres://user@host:5432/database; the password may stand in a file that PGPASSFILE names")
			return
		}
		c.Postgres, c.Database = true, secret.NewString(text)
	case strings.TrimSpace(text) == "" || strings.Contains(text, "://") || strings.HasPrefix(text, "file:") || strings.ContainsAny(text, "?\x00"):
		r.file.At("database", "write the path of a file, like gatehouse.db, or postgres://user@host:5432/database")
	default:
		c.Database = secret.NewString(r.path(text))
	}
}

func (r configReader) smtp(c *config, w *configSMTP) {
	if w == nil {
		return
	}
	security := w.Security
	if security == "" {
		security = "starttls"
	}
	if !slices.Contains([]string{"starttls", "tls", "none"}, security) {
		r.file.At("smtp.security", "write starttls, tls or none")
	}
	if w.Host == "" || strings.ContainsAny(w.Host, "/ :@") {
		r.file.At("smtp.host", "write the relay's host name alone; the port is a key of its own")
	}
	if w.Port < 0 || w.Port > 65535 {
		r.file.At("smtp.port", "write a port from 1 to 65535")
	}
	if people.CheckEmail(w.From) != nil {
		r.file.At("smtp.from", "write one e-mail address, like signin@example.ac.uk")
	}
	if (w.User == "") != (w.PasswordFile == "") {
		r.file.At("smtp", "user and password_file belong together: write both or neither")
	}
	if security == "none" && w.User != "" {
		r.file.At("smtp.security", "the password would travel unprotected: write starttls or tls, or remove user")
	}
	c.SMTP = &smtpConfig{w.Host, w.Port, w.User, r.path(w.PasswordFile), w.From, w.FromName, security}
}

func (r configReader) passwords(c *config, w configPasswords) {
	a := w.Argon2
	if a != (configArgon2{}) {
		if a.Lanes < 1 || a.Lanes > 16 {
			r.file.At("passwords.argon2.lanes", "write lanes from 1 to 16")
		}
		if a.Passes < 1 || a.Passes > 16 {
			r.file.At("passwords.argon2.passes", "write passes from 1 to 16")
		}
		// OWASP's least: 19 MiB with 2 passes, or 7 MiB with 5.
		if a.Memory < 7*1024 || a.Memory > 256*1024 || a.Memory*a.Passes < 7*1024*5 {
			r.file.At("passwords.argon2.memory_kib", "write at least 19456 with 2 passes or 7168 with 5, at most 262144")
		}
	}
	if w.Workers < 0 || w.Workers > 16*runtime.NumCPU() {
		r.file.At("passwords.workers", "write how many hashes run at once, about one a processor; 0 chooses")
	}
	if w.Queue < 0 || w.Queue > 10000 {
		r.file.At("passwords.queue", "write how many sign-ins may wait for a hash, at most 10000; 0 chooses")
	}
	c.Argon2 = argon2Config{a.Memory, a.Passes, a.Lanes, w.Workers, w.Queue}
}

func (r configReader) observing(c *config, w configFile) {
	c.LogLevel = w.Log.Level
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		r.file.At("log.level", "write debug, info, warn or error")
	}
	switch w.Log.Format {
	case "", "json":
		c.LogJSON = true
	case "text":
	default:
		r.file.At("log.format", "write json or text")
	}
	if w.Metrics == nil {
		return
	}
	c.Metrics = w.Metrics.Listen
	if _, _, ok := hostPort(c.Metrics); !ok {
		r.file.At("metrics.listen", "write host:port, like 127.0.0.1:9090")
	} else if c.Metrics == c.Listen {
		r.file.At("metrics.listen", "write another port than listen has: metrics are not for members")
	}
}

// hostPort splits an address to listen at; an empty host is every address.
func hostPort(text string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", "", false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return host, port, err == nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
