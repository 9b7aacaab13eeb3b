package dotenv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pastedPEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQ+/ab\nZZ==\n-----END PRIVATE KEY-----"

// .env is read as people write it.
func TestFilesAreReadAsPeopleWriteThem(t *testing.T) {
	text := "\ufeff# settings of the shop\n" +
		"\n" +
		"PLAIN=1900000109\n" +
		"  export EXPORTED = 'single # quoted' # why\n" +
		"export\tTAB=1\n" +
		"exported=1\n" +
		"DOUBLE=\"a\\nb\"\n" +
		"ESCAPED=\"say \\\"hi\\\"\"\n" +
		"BACKTICK=`it's \"so\"`\n" +
		"LITERALLY='c:\\new\\'\n" +
		"EMPTY=\n" +
		"EMPTY_QUOTED=\"\"\n" +
		"ONLY_COMMENT= # none\n" +
		"COMMENTED=value # of something\n" +
		"TABBED=value\t# of something\n" +
		"LITERAL=-----BEGIN PRIVATE KEY-----\\nMIIEvQ==\\n-----END PRIVATE KEY-----\\n\n" +
		"URL=mysql://user:pa=ss$word@10.0.0.5:3306/wxrefund?tls=false\n" +
		"PASTED=" + pastedPEM + "\n" +
		"TWO=" + pastedPEM + "\n" + pastedPEM + "\n" +
		"QUOTED_PEM=\"" + pastedPEM + "\n\"\n" +
		"SINGLE='" + pastedPEM + "'\n" +
		"SPACED='a \n b '\n" +
		"LAST=end"
	want := map[string]string{
		"PLAIN": "1900000109", "EXPORTED": "single # quoted", "TAB": "1", "exported": "1", "DOUBLE": "a\nb", "ESCAPED": `say \"hi\"`, "BACKTICK": `it's "so"`,
		"LITERALLY": `c:\new\`, "EMPTY": "", "EMPTY_QUOTED": "", "ONLY_COMMENT": "", "COMMENTED": "value", "TABBED": "value",
		"LITERAL": `-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----\n`, "URL": "mysql://user:pa=ss$word@10.0.0.5:3306/wxrefund?tls=false",
		"PASTED": pastedPEM, "TWO": pastedPEM + "\n" + pastedPEM, "QUOTED_PEM": pastedPEM + "\n", "SINGLE": pastedPEM, "SPACED": "a \n b ", "LAST": "end",
	}
	for name, ends := range map[string]string{"Unix": "\n", "Windows": "\r\n", "old Mac": "\r"} {
		got, err := Parse(strings.ReplaceAll(text, "\n", ends))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if got, err := Parse(""); err != nil || len(got) != 0 {
		t.Errorf("an empty file: got %v, %v", got, err)
	}
}

// What can be read in two ways is refused, by its line and never by its value.
func TestWhatIsAmbiguousIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"A=1\nA=1":                              "line 2: A stands in line 1 already",
		"A=1\n\ncanary":                         "line 3 is no NAME=value",
		"A: canary":                             "line 1 is no NAME=value",
		"1A=canary":                             "line 1 is no NAME=value",
		"A B=canary":                            "line 1 is no NAME=value",
		"=canary":                               "line 1 is no NAME=value",
		"A=cana#ry":                             "line 1: A has a # in it, where some readers end it: put the value into single quotes",
		"A=mysql://u:cana#ry@h":                 "line 1: A has a # in it, where some readers end it: in a user or password of a URL write %23",
		"A=\"canary\nB=2":                       "line 1: A has a quote that nothing closes\n",
		"A='canary' too":                        "line 1: A has something behind its closing quote",
		"A=\"canary\"\"":                        "line 1: A has something behind its closing quote",
		"A=-----BEGIN X-----\ncanary\nB=2\nC=3": "line 1: A has a PEM that breaks off before its last line",
		"A=-----BEGIN X-----\ncanary":           "line 1: A has a PEM that breaks off before its last line",
		"A=-----BEGIN X-----\ncanary\n\nB=2":    "line 1: A has a PEM that breaks off before its last line",
	} {
		_, err := Parse(text)
		if err == nil || !strings.HasPrefix(err.Error()+"\n", want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := Parse(strings.Repeat("x\n", 217)); err == nil || strings.Count(err.Error(), "\n") != 10 || !strings.HasSuffix(err.Error(), "\nline 10 is no NAME=value\nand 207 more") {
		t.Errorf("217 lines that are none: got %v, want ten of them and how many more", err)
	}
	// All of them at once, and what is whole is read all the same.
	got, err := Parse("A=1\nx\nB='y' z\nC=3\nD=-----BEGIN X-----\nMIIE\n\n")
	if want := "line 2 is no NAME=value\nline 3: B has something behind its closing quote\nline 5: D has a PEM that breaks off before its last line"; err == nil || err.Error() != want || got["A"] != "1" || got["C"] != "3" {
		t.Errorf("got %v, %v, want %q", got, err, want)
	}
}

// Whatever stands in a file, it is read or refused, and no value is in the refusal; what
// is written in single quotes comes back.
func FuzzParse(f *testing.F) {
	f.Add("A=1\nexport B='2' # c\r\nC=\"3\n4\"")
	f.Add("P=" + pastedPEM)
	f.Fuzz(func(t *testing.T, text string) {
		if env, err := Parse(text); err == nil {
			for name := range env {
				if !strings.Contains(text, name) {
					t.Errorf("%q: the name %q comes from nowhere", text, name)
				}
			}
		}
		if strings.ContainsAny(text, "'\r") {
			return
		}
		env, err := Parse(fmt.Sprintf("BEFORE=1\nA='%s'\nAFTER=2", text))
		if err != nil || env["A"] != text || env["BEFORE"] != "1" || env["AFTER"] != "2" {
			t.Errorf("%q in single quotes: got %q, %v", text, env, err)
		}
	})
}
