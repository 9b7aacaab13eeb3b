package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/needs"
	"wxrefund/shared/sandbox/pgsql"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/secret"
)

// freshDatabase is a schema of the test's own in a real PostgreSQL.
func freshDatabase(t *testing.T) string {
	t.Helper()
	base, schema := needs.Env(t, "LEDGER_TEST_POSTGRES"), fmt.Sprintf("wxrefund_test_%x", rand.Uint64())
	exec := func(text string) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, base)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, text); err != nil {
			t.Error(err)
		}
	}
	exec("CREATE SCHEMA " + schema)
	t.Cleanup(func() { exec("DROP SCHEMA " + schema + " CASCADE") })
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "search_path=" + schema
	return u.String()
}

// With a database the ledger is at CloudBase: a refund arrives, is known once however its
// calls fail, and the key of the environment opens the door to others.
func TestTheLedgerIsInTheEnvironmentsDatabase(t *testing.T) {
	p := start(t, "-cloudbase-db", freshDatabase(t), "-pace", "0s", "-timer=false")
	p.control("POST", "/_sandbox/orders", `{"out_trade_no":"order-1","total":100}`, nil)
	for i, fault := range []string{"", "lost_after", "exec_error_after", "exec_error", "500_after", "429", "lost_before", "object"} {
		if fault != "" {
			p.control("POST", "/_sandbox/faults", `{"database":"`+fault+`","count":2}`, nil)
		}
		number := fmt.Sprint("refund-", i)
		_, body := p.request("POST", "/functions/wxpayFunctions", `{"type":"wxpay_refund","out_trade_no":"order-1","out_refund_no":"`+number+`","amount":{"refund":1,"total":100,"currency":"CNY"}}`)
		if !strings.Contains(body, `"code":0`) {
			t.Errorf("%s: %s", fault, body)
		}
	}
	var held struct{ Refunds []struct{ Status string } }
	await(t, "all to be settled", func() bool {
		p.control("GET", "/_sandbox/refunds", "", &held)
		return len(held.Refunds) == 8 && !slices.ContainsFunc(held.Refunds, func(r struct{ Status string }) bool { return r.Status != "SUCCESS" })
	})
	var list struct {
		Result struct {
			Data struct {
				Total   int `json:"total_refund_count"`
				Refunds []struct{ Status string }
			}
		}
	}
	await(t, "the ledger to know it", func() bool {
		_, body := p.request("POST", "/functions/wxpayFunctions", `{"type":"wxpay_refund_query","out_trade_no":"order-1"}`)
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		d := list.Result.Data
		return d.Total == 8 && !slices.ContainsFunc(d.Refunds, func(r struct{ Status string }) bool { return r.Status != "SUCCESS" })
	})
	_, env := p.request("GET", "/_sandbox/env?channel=apiv3", "")
	if !strings.Contains(env, "CLOUDBASE_APIKEY='") {
		t.Errorf("the environment's key is not among the variables: %s", env)
	}
	if strings.Contains(p.stderr.String(), "search_path") {
		t.Error("the log shows the database's URL")
	}
}

// The environment's key opens the door, and so does the signature of its key pair; nothing
// else does. A function in a process of its own finds the ledger by its variables.
func TestWhoIsTheEnvironmentMayAskItsDatabase(t *testing.T) {
	p := start(t, "-cloudbase-db", freshDatabase(t), "-timer=false", "-hostile=false")
	v := p.variables()
	if want := "cloudbase:" + v["TCB_ENV"] + "?endpoint=" + p.ready.WeChat; v["LEDGER_URL"] != want || v["CLOUDBASE_APIKEY"] == "" {
		t.Errorf("LEDGER_URL is %s, want %s", v["LEDGER_URL"], want)
	}
	signed := func(key string) cloudbase.Credentials {
		return cloudbase.Credentials{SecretID: v["TENCENTCLOUD_SECRETID"], SecretKey: secret.Text(key)}
	}
	for _, c := range []struct {
		name        string
		credentials cloudbase.Credentials
		want        int
	}{
		{"the key", cloudbase.Credentials{APIKey: secret.Text(v["CLOUDBASE_APIKEY"])}, 200},
		{"another key", cloudbase.Credentials{APIKey: secret.Text(v["CLOUDBASE_APIKEY"] + "x")}, 401},
		{"the key pair", signed(v["TENCENTCLOUD_SECRETKEY"]), 200},
		{"another pair", signed(v["TENCENTCLOUD_SECRETKEY"] + "x"), 401},
	} {
		api := cloudbase.API{URL: p.ready.WeChat, HTTP: http.DefaultClient, Credentials: func(context.Context) (cloudbase.Credentials, error) { return c.credentials, nil }}
		reply, err := api.Post(t.Context(), pgsql.Path, []byte(`{"sql":"SELECT $1::text AS s","parameters":["退款"]}`), 1<<10)
		if err != nil || reply.Status != c.want || c.want == 200 && string(reply.Body) != `[{"s":"退款"}]` {
			t.Errorf("%s: got %d %s, %v, want %d", c.name, reply.Status, reply.Body, err, c.want)
		}
	}
}

// Without a database the path says what lacks.
func TestWithoutADatabaseTheDoorSaysSo(t *testing.T) {
	p := start(t, "-timer=false")
	p.ready.Listen = p.ready.WeChat
	status, body := p.request("POST", pgsql.Path, `{"sql":"SELECT 1"}`, "Authorization", "Bearer x")
	if status != 404 || !strings.Contains(body, "-cloudbase-db") {
		t.Errorf("got %d %s", status, body)
	}
}

// The faults that can be asked for are those that there are.
func TestDatabaseFaultsAreThoseOfTheDoor(t *testing.T) {
	t.Parallel()
	var known []pgsql.Fault
	for _, f := range world.DatabaseFaults {
		known = append(known, pgsql.Fault(f.Name))
	}
	if want := pgsql.Faults(); !slices.Equal(known, want) {
		t.Errorf("got %v, want %v", known, want)
	}
}

func TestADatabaseThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	stdout, stderr := new(buffer), new(buffer)
	code := run(t.Context(), []string{"-listen", "127.0.0.1:0", "-wechat", "127.0.0.1:0", "-wechat-tls", "127.0.0.1:0", "-cloudbase-db", "postgres://user:tiger@127.0.0.1:1/x"}, noVariables, stdout, stderr)
	if text := stderr.String(); code == 0 || !strings.Contains(text, "-cloudbase-db") || strings.Contains(text, "tiger") {
		t.Errorf("got %d %s", code, text)
	}
}
