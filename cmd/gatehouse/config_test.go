package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/throttle"
	"github.com/gatehouse-id/gatehouse/internal/yamlfile"
)

const wholeConfig = `
base_url: https://signin.example.ac.uk
listen: :443
tls: {cert: tls/cert.pem, key: /etc/tls/key.pem}
database: gatehouse.db
key_file: master.key
node: node-1
smtp:
  host: mail.example.ac.uk
  port: 587
  user: gatehouse
  password_file: smtp.secret
  from: signin@example.ac.uk
  from_name: Sign-in service
  security: starttls
metrics: {listen: "127.0.0.1:9090"}
log: {level: warn, format: text}
campus: campus.yaml
passwords:
  argon2: {memory_kib: 19456, passes: 2, lanes: 1}
  workers: 2
  queue: 32
  breached_list: breached.txt
audit: {checkpoints: checkpoints.jsonl}
places: {file: city.mmdb}
text:
  gateway:
    url: https://sms.example.ac.uk/send
    secret_header: Authorization
    secret_file: sms.secret
    body: '{"to":"{{.To}}","text":"{{.Text}}"}'
  voice:
    twilio: {account: ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, token_file: twilio.secret, from: "+441632960001"}
  country: GB
  countries: [GB, IE]
  caps: {number: 3 per 1h, total: 1000 per 1d}
app:
  base_url: https://phone.example.ac.uk
  push:
    contact: mailto:signin@example.ac.uk
    services: [push.example.ac.uk, "*.push.example.net:8443"]
    ca_file: tls/private-ca.pem
`

func TestConfigWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(wholeConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	if c.BaseURL.String() != "https://signin.example.ac.uk" || c.RPID != "signin.example.ac.uk" || c.Listen != ":443" {
		t.Errorf("address: %v %s %s", c.BaseURL, c.RPID, c.Listen)
	}
	if c.TLSCert != in("tls/cert.pem") || c.TLSKey != "/etc/tls/key.pem" || c.KeyFile != in("master.key") || c.Campus != in("campus.yaml") {
		t.Errorf("paths are not relative to the file: %+v", c)
	}
	if c.Postgres || c.Database.Reveal() != in("gatehouse.db") || c.Checkpoints != in("checkpoints.jsonl") || c.Breached != in("breached.txt") || c.Places != in("city.mmdb") {
		t.Errorf("paths: %+v", c)
	}
	if *c.SMTP != (smtpConfig{"mail.example.ac.uk", 587, "gatehouse", in("smtp.secret"), "signin@example.ac.uk", "Sign-in service", "starttls"}) {
		t.Errorf("smtp: %+v", *c.SMTP)
	}
	if c.Argon2 != (argon2Config{19456, 2, 1, 2, 32}) || c.LogLevel != "warn" || c.LogJSON || c.Metrics != "127.0.0.1:9090" || c.Node != "node-1" {
		t.Errorf("rest: %+v", c)
	}
	if a := c.App; a == nil || a.BaseURL.String() != "https://phone.example.ac.uk" || a.Push.Contact != "mailto:signin@example.ac.uk" ||
		len(a.Push.Services) != 2 || a.Push.CAFile != in("tls/private-ca.pem") {
		t.Errorf("app: %+v", c.App)
	}
	x := c.Text
	if x == nil || x.Country != "GB" || len(x.Caps.Countries) != 2 || strings.Join(x.Channels, " ") != "text voice" || x.Carriers["text"].SecretFile != in("sms.secret") ||
		x.Carriers["voice"].Twilio == nil || x.Caps.Number != (throttle.Limit{Burst: 3, Refill: 20 * time.Minute}) ||
		x.Caps.Total != (throttle.Limit{Burst: 1000, Refill: 86400 * time.Millisecond}) || x.Caps.Account != (throttle.Limit{Burst: 10, Refill: 6 * time.Minute}) {
		t.Errorf("text: %+v", c.Text)
	}
}

// minimal is a good configuration that each case spoils in one place.
const minimalConfig = "base_url: http://localhost:8080\nlisten: 127.0.0.1:8080\ndatabase: g.db\nkey_file: k\n"

func TestConfigRefusals(t *testing.T) {
	cases := []struct{ name, old, new, want string }{
		{"unknown key", "key_file: k", "key_file: k\nlisen: x", `c.yaml:5:1: unknown key "lisen": write "listen"`},
		{"missing key", "listen: 127.0.0.1:8080\n", "", `c.yaml:1:1: "listen" is missing here: add it`},
		{"twice", "key_file: k", "key_file: k\nkey_file: l", `c.yaml:5:1: `},
		{"path", "http://localhost:8080", "https://a.example/signin", "c.yaml:1:11: write scheme and host alone: https://a.example"},
		{"query", "http://localhost:8080", "https://a.example?x=1", "c.yaml:1:11: write scheme and host alone"},
		{"user", "http://localhost:8080", "https://me@a.example", "c.yaml:1:11: write scheme and host alone"},
		{"fragment", "http://localhost:8080", "'https://a.example#'", "c.yaml:1:11: write scheme and host alone"},
		{"plain elsewhere", "http://localhost:8080", "http://a.example", "c.yaml:1:11: write https://"},
		{"an address", "http://localhost:8080", "http://127.0.0.1:8080", "c.yaml:1:11: write a host name"},
		{"upper case", "http://localhost:8080", "https://A.example", "c.yaml:1:11: write the host in lower case: https://a.example"},
		{"https without tls", "http://localhost:8080", "https://a.example", "c.yaml:1:11: https needs tls"},
		{"plain to everybody", "127.0.0.1:8080", "0.0.0.0:8080", "c.yaml:2:9: without TLS only this machine"},
		{"plain to all", "127.0.0.1:8080", "':8080'", "c.yaml:2:9: without TLS only this machine"},
		{"no port", "127.0.0.1:8080", "127.0.0.1", "c.yaml:2:9: write host:port"},
		{"large port", "127.0.0.1:8080", "127.0.0.1:80800", "c.yaml:2:9: write host:port"},
		{"tls and http", "key_file: k", "key_file: k\ntls: {cert: a, key: b}", "c.yaml:1:11: tls is configured"},
		{"half tls", "key_file: k", "key_file: k\ntls: {cert: a}", `"key" is missing`},
		{"everybody a proxy", "key_file: k", "key_file: k\nbehind_proxy: {from: [0.0.0.0/0]}", "c.yaml:5:23: this is everybody"},
		{"host bits", "key_file: k", "key_file: k\nbehind_proxy: {from: [10.0.0.1/8]}", "write the network as 10.0.0.0/8"},
		{"no proxy", "key_file: k", "key_file: k\nbehind_proxy: {from: []}", "write the proxy's address"},
		{"other database", "g.db", "mysql://x", "c.yaml:3:11: write the path of a file"},
		{"no database name", "g.db", "postgres://u@h", "c.yaml:3:11: write postgres://"},
		{"mail without user", "key_file: k", "key_file: k\nsmtp: {host: h, from: a@b.example, password_file: f}", "user and password_file belong together"},
		{"mail in the clear", "key_file: k", "key_file: k\nsmtp: {host: h, from: a@b.example, user: u, password_file: f, security: none}", "unprotected"},
		{"mail sender", "key_file: k", "key_file: k\nsmtp: {host: h, from: nobody}", "one e-mail address"},
		{"a number", "key_file: k", "key_file: k\nsmtp: {host: h, from: a@b.example, port: many}", "write a whole number here"},
		{"weak hash", "key_file: k", "key_file: k\npasswords: {argon2: {memory_kib: 1024, passes: 1, lanes: 1}}", "write at least 19456"},
		{"log level", "key_file: k", "key_file: k\nlog: {level: loud}", "c.yaml:5:14: write debug, info, warn or error"},
		{"metrics at the door", "key_file: k", "key_file: k\nmetrics: {listen: '127.0.0.1:8080'}", "another port"},
		{"node", "key_file: k", "key_file: k\nnode: a/b", "c.yaml:5:7: write lower-case"},
		{"app on the same host", "key_file: k", "key_file: k\napp: {base_url: 'http://localhost:8081'}", "c.yaml:5:17: write https:// (plain http only for trying on one machine: http://app.localhost:8080)"},
		{"app with a path", "key_file: k", "key_file: k\napp: {base_url: 'http://app.localhost:8080/app'}", "c.yaml:5:17: write scheme and host alone: http://app.localhost:8080"},
		{"app by address", "key_file: k", "key_file: k\napp: {base_url: 'http://127.0.0.1:8080'}", "c.yaml:5:17: write a host name"},
		{"app of another scheme", "key_file: k", "key_file: k\napp: {base_url: 'https://app.localhost:8080'}", "c.yaml:5:17: write http://app.localhost:8080, as base_url"},
		{"app nowhere", "key_file: k", "key_file: k\napp: {}", `"base_url" is missing`},
		{"app in upper case", "key_file: k", "key_file: k\napp: {base_url: 'http://App.localhost'}", "in lower case"},
		{"push without contact", "key_file: k", "key_file: k\napp: {base_url: 'http://app.localhost:8080', push: {}}", `"contact" is missing`},
		{"push with a name", "key_file: k", "key_file: k\napp: {base_url: 'http://app.localhost:8080', push: {contact: desk}}", "c.yaml:5:62: write where push services reach you"},
		{"push to a path", "key_file: k", "key_file: k\napp: {base_url: 'http://app.localhost:8080', push: {contact: 'mailto:a@b.example', services: ['https://x.example/']}}", "write the host of a push service"},
		{"text through nothing", "key_file: k", "key_file: k\ntext: {countries: [GB]}", "c.yaml:5:7: write either gateway"},
		{"text in the clear", "key_file: k", "key_file: k\ntext: {countries: [GB], gateway: {url: 'http://sms.example/send', body: '{\"to\":\"{{.To}}\",\"text\":\"{{.Text}}\"}'}}", "c.yaml:5:40: write https: codes and numbers would travel in clear"},
		{"text to nobody", "key_file: k", "key_file: k\ntext: {countries: [GB], gateway: {url: 'https://sms.example/send', body: '{\"text\":\"{{.Text}}\"}'}}", "says to nobody"},
		{"text to a name", "key_file: k", "key_file: k\ntext: {countries: [Wales], twilio: {account: x, token_file: f, from: '+441632960001'}}", "c.yaml:5:20: write the two capital letters"},
		{"an account that is none", "key_file: k", "key_file: k\ntext: {countries: [GB], twilio: {account: x, token_file: f, from: '+441632960001'}}", "write the account's SID"},
		{"text everywhere", "key_file: k", "key_file: k\ntext: {countries: [], twilio: {account: x, token_file: f, from: '+441632960001'}}", "write the countries that codes may be sent to"},
		{"home elsewhere", "key_file: k", "key_file: k\ntext: {country: FR, countries: [GB], twilio: {account: x, token_file: f, from: '+441632960001'}}", "c.yaml:5:17: write one of countries"},
		{"cap", "key_file: k", "key_file: k\ntext: {countries: [GB], caps: {number: 5}}", "c.yaml:5:40: write how many in which time, like 5 per 1h"},
		{"alias", "key_file: k", "key_file: &a k\nnode: *a", "anchors, aliases and tags"},
		{"no YAML", "key_file: k", "key_file: [", "not valid YAML"},
	}
	if _, err := parseConfig("c.yaml", []byte(minimalConfig)); err != nil {
		t.Fatalf("the minimal configuration is refused: %v", err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(minimalConfig, c.old, c.new, 1)
			if src == minimalConfig {
				t.Fatal("the case changes nothing")
			}
			_, err := parseConfig("c.yaml", []byte(src))
			var list yamlfile.Errors
			if !errors.As(err, &list) {
				t.Fatalf("accepted, or another error: %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got:\n%v\nwant: %s", err, c.want)
			}
		})
	}
}

func TestTheAppHasAHostOfItsOwn(t *testing.T) {
	src := "base_url: https://signin.example.ac.uk\nlisten: :443\ntls: {cert: c, key: k}\ndatabase: g.db\nkey_file: k\napp: {base_url: 'https://signin.example.ac.uk:8443'}\n"
	if _, err := parseConfig("c.yaml", []byte(src)); err == nil || !strings.Contains(err.Error(), "c.yaml:6:17: write another host than base_url has: on one host the app and the sign-in pages would share cookies") {
		t.Errorf("%v", err)
	}
	c, err := parseConfig("c.yaml", []byte(minimalConfig))
	if err != nil || c.App != nil {
		t.Errorf("an app that nobody configured: %+v %v", c.App, err)
	}
}

func TestConfigBehindProxyAndPostgres(t *testing.T) {
	src := "base_url: https://a.example\nlisten: :8080\nbehind_proxy: {from: [10.0.0.5, '2001:db8::/32']}\ndatabase: postgres://u:hunter2@db:5432/gatehouse\nkey_file: /k\n"
	c, err := parseConfig("c.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Postgres || len(c.Proxies) != 2 || c.Proxies[0].String() != "10.0.0.5/32" || c.SMTP != nil || !c.LogJSON || c.Node != "main" {
		t.Errorf("%+v", c)
	}
	if strings.Contains(c.Database.String(), "hunter2") {
		t.Error("the database's password prints")
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(wholeConfig)
	f.Add(minimalConfig)
	f.Add("base_url: *x")
	f.Fuzz(func(t *testing.T, src string) {
		c, err := parseConfig("c.yaml", []byte(src))
		if err == nil && (c.BaseURL == nil || c.BaseURL.Scheme == "http" && c.RPID != "localhost" || c.Database.Empty() || c.App != nil && c.App.BaseURL == nil) {
			t.Errorf("accepted: %+v", c)
		}
	})
}
