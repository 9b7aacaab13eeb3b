package ledger

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A package for one database does not carry the drivers of the others. CloudBase's needs none.
func TestTagsChooseTheDrivers(t *testing.T) {
	t.Parallel()
	libraries := map[string]string{
		"sqlite": "modernc.org/sqlite", "postgres": "github.com/jackc/pgx/v5", "mysql": "github.com/go-sql-driver/mysql",
		"dynamodb": "github.com/aws/aws-sdk-go-v2/service/dynamodb",
	}
	for tags, want := range map[string]string{
		"": "dynamodb mysql postgres sqlite", "mysql": "dynamodb mysql postgres sqlite", "slim": "", "slim,sqlite,postgres": "postgres sqlite",
		"slim,sqlite": "sqlite", "slim,postgres": "postgres", "slim,mysql": "mysql", "slim,dynamodb": "dynamodb",
		"slim,cloudbase": "",
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, ".").Output()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for scheme, library := range libraries {
			if slices.Contains(strings.Split(string(out), "\n"), library) {
				got = append(got, scheme)
			}
		}
		slices.Sort(got)
		if got := strings.Join(got, " "); got != want {
			t.Errorf("tags %q: drivers %q, want %q", tags, got, want)
		}
	}
}
