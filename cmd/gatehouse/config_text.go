package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/courier"
	"github.com/gatehouse-id/gatehouse/internal/courier/gateway"
	"github.com/gatehouse-id/gatehouse/internal/method/phone"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/throttle"
	"github.com/gatehouse-id/gatehouse/internal/yamlfile"
)

// textConfig is who carries codes, and how many.
type textConfig struct {
	textSettings
	// Carriers by channel: notice.Text, and notice.Voice where calls are made.
	Carriers map[string]carrier
}

// carrier is one gateway; exactly one of its two is set. Secrets are read from their files when it is opened.
type carrier struct {
	HTTP       *gateway.HTTP
	Twilio     *gateway.Twilio
	SecretFile string
	CAFile     string
}

type configText struct {
	Gateway   *configGateway `yaml:"gateway"`
	Twilio    *configTwilio  `yaml:"twilio"`
	Voice     *configVoice   `yaml:"voice"`
	Country   string         `yaml:"country"`
	Countries []string       `yaml:"countries,required"`
	Caps      configCaps     `yaml:"caps"`
}

type configVoice struct {
	Gateway *configGateway `yaml:"gateway"`
	Twilio  *configTwilio  `yaml:"twilio"`
}

type configGateway struct {
	URL          string            `yaml:"url,required"`
	Method       string            `yaml:"method"`
	Headers      map[string]string `yaml:"headers"`
	SecretHeader string            `yaml:"secret_header"`
	SecretFile   string            `yaml:"secret_file"`
	ContentType  string            `yaml:"content_type"`
	Body         string            `yaml:"body,required"`
	From         string            `yaml:"from"`
	Success      []int             `yaml:"success"`
	Refused      []int             `yaml:"refused"`
	CAFile       string            `yaml:"ca_file"`
}

type configTwilio struct {
	URL       string `yaml:"url"`
	Account   string `yaml:"account,required"`
	Key       string `yaml:"key"`
	TokenFile string `yaml:"token_file,required"`
	From      string `yaml:"from,required"`
	CAFile    string `yaml:"ca_file"`
}

// configCaps: what is not written has the default.
type configCaps struct {
	Number  pace `yaml:"number"`
	Prefix  pace `yaml:"prefix"`
	Account pace `yaml:"account"`
	Address pace `yaml:"address"`
	Total   pace `yaml:"total"`
}

// The default caps of messages and calls (attack G53); docs/configuration.md has them.
var defaultCaps = configCaps{Number: pace{5, time.Hour}, Prefix: pace{30, time.Hour}, Account: pace{10, time.Hour}, Address: pace{100, time.Hour},
	Total: pace{500, time.Hour}}

// pace is written "5 per 1h": so many at once, and as many again in that time.
type pace struct {
	n   int
	per time.Duration
}

var errPace = errors.New("write how many in which time, like 5 per 1h")

// FromText implements yamlfile.Scalar.
func (p *pace) FromText(text string) error {
	count, span, ok := strings.Cut(text, " per ")
	n, err := strconv.Atoi(count)
	var d yamlfile.Duration
	if !ok || err != nil || n < 1 || n > 1_000_000 || d.FromText(span) != nil || d.Std() < time.Second || d.Std() > 31*24*time.Hour {
		return errPace
	}
	*p = pace{n, d.Std()}
	return nil
}

func (p pace) or(otherwise pace) throttle.Limit {
	if p.n == 0 {
		p = otherwise
	}
	return throttle.Limit{Burst: p.n, Refill: p.per / time.Duration(p.n)}
}

// text reads the gateways for codes by message and call.
func (r configReader) text(c *config, w *configText) {
	if w == nil {
		return
	}
	out := &textConfig{Carriers: map[string]carrier{}}
	out.Country, out.Channels = w.Country, []string{notice.Text}
	out.Carriers[notice.Text] = r.carrier("text", w.Gateway, w.Twilio, false)
	if w.Voice != nil {
		out.Carriers[notice.Voice] = r.carrier("text.voice", w.Voice.Gateway, w.Voice.Twilio, true)
		out.Channels = append(out.Channels, notice.Voice)
	}
	if len(w.Countries) == 0 {
		r.file.At("text.countries", "write the countries that codes may be sent to, like [GB, IE]: to all others nothing is sent, because fraud lies there")
	}
	for i, code := range w.Countries {
		if !phone.IsCountry(code) {
			r.file.At(fmt.Sprintf("text.countries[%d]", i), "write the two capital letters of a country, like GB")
		}
	}
	if w.Country != "" && !slices.Contains(w.Countries, w.Country) {
		r.file.At("text.country", "write one of countries: numbers without a country code are taken to be from there")
	}
	d := defaultCaps
	out.Caps = signin.SendingCaps{Number: w.Caps.Number.or(d.Number), Prefix: w.Caps.Prefix.or(d.Prefix), Account: w.Caps.Account.or(d.Account),
		Address: w.Caps.Address.or(d.Address), Total: w.Caps.Total.or(d.Total), Countries: w.Countries}
	c.Text = out
}

// unread stands for a secret whose file is read when the gateway is opened.
var unread = secret.NewString("unread")

func (r configReader) carrier(at string, g *configGateway, t *configTwilio, voice bool) carrier {
	switch {
	case (g == nil) == (t == nil):
		r.file.At(at, "write either gateway: {url, body, …} or twilio: {account, token_file, from}")
	case g != nil:
		h := gateway.HTTP{URL: g.URL, Method: g.Method, Headers: g.Headers, SecretHeader: g.SecretHeader, ContentType: g.ContentType, Body: g.Body,
			From: g.From, Success: g.Success, Refused: g.Refused}
		if g.SecretFile != "" {
			h.Secret = unread
		}
		r.problems(at+".gateway.", h.Check())
		return carrier{HTTP: &h, SecretFile: r.path(g.SecretFile), CAFile: r.path(g.CAFile)}
	default:
		a := gateway.Twilio{URL: t.URL, Account: t.Account, Key: t.Key, Token: unread, From: t.From}
		r.problems(at+".twilio.", a.Check(voice))
		return carrier{Twilio: &a, SecretFile: r.path(t.TokenFile), CAFile: r.path(t.CAFile)}
	}
	return carrier{}
}

func (r configReader) problems(at string, found []gateway.Problem) {
	for _, p := range found {
		r.file.At(at+p.Field, "%s", p.Say)
	}
}

// open reads the secret and makes the channel; it connects to nothing.
func (c carrier) open(channel string) (courier.Channel, error) {
	var key secret.String
	if c.SecretFile != "" {
		raw, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("the gateway's secret cannot be read: %w", err)
		}
		key = secret.NewString(strings.TrimRight(string(raw), "\r\n"))
	}
	roots, err := rootsFrom("the gateway's ca_file", c.CAFile)
	if err != nil {
		return nil, err
	}
	return c.with(channel, key, roots)
}

func (c carrier) with(channel string, key secret.String, roots *x509.CertPool) (courier.Channel, error) {
	if c.HTTP != nil {
		h := *c.HTTP
		h.Secret, h.Roots = key, roots
		return gateway.NewHTTP(h)
	}
	t := *c.Twilio
	t.Token, t.Roots = key, roots
	if channel == notice.Voice {
		return gateway.NewTwilioVoice(t)
	}
	return gateway.NewTwilioText(t)
}
