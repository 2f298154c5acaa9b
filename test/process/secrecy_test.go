package process

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// keyless finds the API key where it must not be.
func keyless(t *testing.T, where, text string) {
	t.Helper()
	if form := formOfKey(text); form != "" {
		t.Errorf("the API key is in %s, %s", where, form)
	}
}

var (
	// dumped is a line of a hex dump: an offset, up to 16 bytes, and their characters.
	dumped = regexp.MustCompile(`[0-9a-fA-F]{8,}  ?((?:[0-9a-fA-F]{2} {1,2}){1,16})`)
	// decimals is how fmt prints bytes.
	decimals = regexp.MustCompile(`\d{1,3}(?:[ ,]+\d{1,3}){7,}`)
	notHex   = regexp.MustCompile(`(?i)\\x|0x|[^0-9a-f]`)
)

// formOfKey says in what form a text has the API key, and is empty if it has it in none. A log has texts within texts, so what is
// escaped is unescaped, twice.
func formOfKey(text string) string {
	for range 3 {
		key := []byte(apiKey)
		switch {
		case strings.Contains(text, apiKey):
			return "as it is"
		case strings.Contains(strings.ToLower(text), hex.EncodeToString(key)),
			strings.Contains(strings.ToLower(notHex.ReplaceAllString(text, "")), hex.EncodeToString(key)):
			return "in hex"
		}
		for shift := range 3 {
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
				// What comes before the key, and after it, decides on the first and last characters of its base64.
				whole := encoding.EncodeToString(append(make([]byte, shift), key...))
				if strings.Contains(text, strings.TrimRight(whole, "=")[[]int{0, 2, 3}[shift]:len(whole)/4*4-4]) {
					return "in base64"
				}
			}
		}
		var bytesOf []byte
		for _, line := range dumped.FindAllStringSubmatch(text, -1) {
			raw, err := hex.DecodeString(strings.ReplaceAll(line[1], " ", ""))
			if err == nil {
				bytesOf = append(bytesOf, raw...)
			}
		}
		if bytes.Contains(bytesOf, key) {
			return "in a hex dump"
		}
		for _, list := range decimals.FindAllString(text, -1) {
			bytesOf = bytesOf[:0]
			for _, number := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' }) {
				n, _ := strconv.Atoi(number)
				bytesOf = append(bytesOf, byte(n))
			}
			if bytes.Contains(bytesOf, key) {
				return "as a list of bytes"
			}
		}
		text = unescaped(text)
	}
	return ""
}

var escape = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{3}|.)`)

// unescaped is a text whose escapes, as in JSON and in Go, are what they stand for.
func unescaped(text string) string {
	return escape.ReplaceAllStringFunc(text, func(found string) string {
		plain, err := strconv.Unquote(`"` + found + `"`)
		if err != nil {
			return found[1:] // such as \/
		}
		return plain
	})
}

// What finds the key finds it in each form that a program may print it in, and nowhere else.
func TestFormOfKey(t *testing.T) {
	around := "{\"kind\":\"Secret\"}\x0a\x06apiKey\x12\x1b" + apiKey + "\x1a\x06Opaque"
	inJSON := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	unicode := ""
	for _, r := range apiKey {
		unicode += fmt.Sprintf(`\u%04x`, r)
	}
	found := map[string]string{
		"plain":                around,
		"base64 of the key":    inJSON(map[string][]byte{"apiKey": []byte(apiKey)}),
		"base64 of all":        base64.StdEncoding.EncodeToString([]byte(around)),
		"base64, one further":  base64.StdEncoding.EncodeToString([]byte("x" + around)),
		"base64, two further":  base64.RawURLEncoding.EncodeToString([]byte("xy" + around)),
		"hex":                  hex.EncodeToString([]byte(around)),
		"hex, big":             fmt.Sprintf("%X", around),
		"hex with spaces":      fmt.Sprintf("% x", around),
		"hex, each byte":       fmt.Sprintf("%# x", around),
		"a hex dump":           hex.Dump([]byte(around)),
		"a hex dump in JSON":   inJSON(map[string]string{"msg": "Response Body", "body": hex.Dump([]byte(around))}),
		"bytes":                fmt.Sprintf("%d", []byte(around)),
		"bytes in Go":          fmt.Sprintf("%#v", map[string][]byte{"apiKey": []byte(apiKey)}),
		"JSON's escapes":       `{"apiKey":"` + unicode + `"}`,
		"escapes in a text":    inJSON(`{"apiKey":"` + unicode + `"}`),
		"base64 in JSON twice": inJSON(inJSON(map[string][]byte{"apiKey": []byte(apiKey)})),
	}
	for i := range 16 { // wherever the lines of a dump are broken
		found[fmt.Sprintf("a hex dump, %d further", i)] = inJSON(hex.Dump([]byte(strings.Repeat("x", i) + around)))
	}
	for what, text := range found {
		if formOfKey(text) == "" {
			t.Errorf("%s: not found in %s", what, text)
		}
	}
	other := strings.ReplaceAll(around, apiKey[10:], "0123456789abcdef")
	for _, text := range []string{other, hex.Dump([]byte(other)), inJSON([]byte(other)), fmt.Sprintf("%d", []byte(other)), ""} {
		if form := formOfKey(text); form != "" {
			t.Errorf("found %s in %s", form, text)
		}
	}
}

// No level of the log has the key: client-go prints what it reads, Secrets among them, from 8 on.
func TestKeyIsInNoLogOfAnyLevel(t *testing.T) {
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	logo, err := os.ReadFile(filepath.Join(root, "config/samples/campaign/logo.png"))
	if err != nil {
		t.Fatal(err)
	}
	levels := [][]string{
		{"--zap-log-level=error"}, {"--zap-log-level=info"}, {"--zap-log-level=debug"}, {"--zap-log-level=panic"},
		{"--zap-devel"}, {"--zap-devel", "--zap-log-level=10"}, {"--zap-encoder=console", "--zap-stacktrace-level=info", "--zap-log-level=20"},
		// The library keeps a level in 8 bits: 128 is the highest, and 264 is 8 again.
		{"--zap-log-level=127"}, {"--zap-log-level=128"}, {"--zap-log-level=129"}, {"--zap-log-level=264"}, {"--zap-log-level=2147483647"},
	}
	for level := range 20 {
		levels = append(levels, []string{fmt.Sprintf("--zap-log-level=%d", level+1)})
	}
	for _, args := range levels {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.shortSecret()
			s.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "brand"}, BinaryData: map[string][]byte{"logo.png": logo}})
			p := s.start("the operator", nil, args...)
			job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "hero"}}
			job.Spec.ResultConfigMap = "hero"
			job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{
				Prompt:     "A picture of hero",
				References: []v1alpha1.ImageReference{{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "brand", Key: "logo.png"}}},
			}
			s.create(job)
			s.reaches("hero", v1alpha1.PhaseQueued)
			s.sim.FinishAll(daftysim.Succeed)
			s.reaches("hero", v1alpha1.PhaseCompleted)
			p.signal(syscall.SIGTERM)
			if code := p.ends(soon); code != 0 {
				t.Errorf("it ended with code %d", code)
			}
			keyless(t, "the log", p.log.String())
		})
	}
}

// shortSecret takes out of the Secret all that would come before the key where only the beginning of a Secret is printed.
func (s *stage) shortSecret() {
	s.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: v1alpha1.DefaultSecretName}}
	if err := s.Client.Patch(s.t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"managedFields":[{}]}}`))); err != nil {
		s.t.Fatal(err)
	}
	if len(secret.ManagedFields) > 0 {
		s.t.Fatalf("the Secret still has managed fields: %v", secret.ManagedFields)
	}
}
