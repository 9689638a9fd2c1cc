package phone

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// maxDepth is how deep a body may nest; WebAuthn responses need four levels.
const maxDepth = 8

var errJSON = errors.New("phone: not one JSON value without repeated names")

// readObject reads a JSON object. into says which members there may be, by their exact names: a *string must be there and
// hold a string without control characters; a *json.RawMessage holds an object, or null or nothing, which leave it nil.
// Any other member, a repeated name at any depth, broken UTF-8 and whatever follows the object make it false: two readers
// of one body must not see two things.
func readObject(body []byte, into map[string]any) bool {
	if !utf8.Valid(body) || checkJSON(body) != nil {
		return false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil {
		return false
	}
	for name, value := range members {
		switch to := into[name].(type) {
		case *string:
			if value[0] != '"' || json.Unmarshal(value, to) != nil || !plain(*to) {
				return false
			}
		case *json.RawMessage:
			switch value[0] {
			case '{':
				*to = value
			case 'n':
			default:
				return false
			}
		default:
			return false
		}
	}
	for name, to := range into {
		if _, text := to.(*string); text && members[name] == nil {
			return false
		}
	}
	return true
}

func plain(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return false
		}
	}
	return true
}

// checkJSON demands one value, no name twice in one object, and maxDepth.
func checkJSON(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := checkValue(d, 0); err != nil {
		return err
	}
	if len(bytes.TrimLeft(body[d.InputOffset():], " \t\r\n")) > 0 {
		return errJSON
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, nested := t.(json.Delim)
	if !nested {
		return nil
	}
	if depth == maxDepth {
		return errJSON
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			key, ok := name.(string)
			if !ok || seen[key] {
				return errJSON
			}
			seen[key] = true
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing one
	return err
}
