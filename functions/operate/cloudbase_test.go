package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxrefund/functions/process"
)

// onCloudBase is a world whose ledger is at CloudBase. Where it is and the key for it stand
// in a file, and nowhere else.
func onCloudBase(t *testing.T, orders ...string) (w *world, c *process.CloudBase, file string) {
	t.Helper()
	c = process.StartCloudBase(t)
	w = newWorld(t, "apiv3", orders...)
	w.settings["LEDGER_URL"], w.settings["CLOUDBASE_APIKEY"] = c.URL, c.Key
	w.settings["RECONCILE_BILL"] = "off" // a new ledger lacks three months of them
	return w, c, w.envFile(nil)
}

// Everything that an operator does is done on a ledger at CloudBase, whose key is in the
// file of -env and not in the process's environment.
func TestALedgerAtCloudBaseIsOperatedWithTheKeyInAFile(t *testing.T) {
	w, c, file := onCloudBase(t, "order-1", "order-2")
	do := func(args ...string) result { t.Helper(); return w.operate(append(args, "-env", file)...) }
	do("list").want(codeDone, "0 of 0")
	do(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone, "refund-1 is PROCESSING")
	w.Control("POST", "/_sandbox/refunds/refund-1/settle", `{"status":"SUCCESS"}`, 200)
	do("query", "refund-1").want(codeDone, "success")
	do("show", "refund-1", "-upstream").want(codeDone, "success")
	do("explain", "refund-1").want(codeDone)
	do("reconcile").want(codeDone)
	do("alarms").want(codeDone, "No alarm is open.")
	do("verify").want(codeDone, "1 refund on 1 order", "Nothing is wrong.")
	do("rebuild", "-yes").want(codeDone)
	do("list", "-csv").want(codeDone, "refund-1")
	do("check").want(codeFinding, "cloudbase opens", "a commit").lacks(c.Key) // of the notification's address

	w.settings["CLOUDBASE_APIKEY"] = "another" // in the environment, which counts
	do("list").want(codeFinding, "the environment's CLOUDBASE_APIKEY counts", "401").lacks(c.Key)
}

// A ledger is copied between CloudBase, PostgreSQL and SQLite in any direction, also between
// two environments with a key each; the same database by another door is refused.
func TestALedgerIsCopiedFromAndToCloudBase(t *testing.T) {
	w, c, file := onCloudBase(t, "order-1")
	other, plain := process.StartCloudBase(t), process.StartCloudBase(t)
	other.Key = "the-key-of-the-other-environment"
	w.operate(append(refundArgs("order-1", "refund-1", "-yes"), "-env", file)...).want(codeDone)
	w.settings["OTHER_KEY"], w.settings["PLAIN_URL"] = other.Key, plain.TCP
	do := func(args ...string) result {
		t.Helper()
		return w.operate(append(append([]string{"copy"}, args...), "-env", file)...).lacks(other.Key).lacks(c.Key)
	}
	do("-to", other.URL).want(codeFinding, "401")
	do("-to", other.URL, "-to-key", other.Key).want(codeUsage, "-to-key must be env:NAME")
	do("-to", other.URL, "-to-key", "env:NOWHERE").want(codeUsage, "-to-key: NOWHERE is not set")
	do("-to", c.URL).want(codeUsage, "the same database")
	do("-to", c.TCP).want(codeFinding, "the target is in use")

	file2 := filepath.Join(t.TempDir(), "copy.db")
	do("-to", other.URL, "-to-key", "env:OTHER_KEY").want(codeDone, "from cloudbase", "to cloudbase", "Both are equal.")
	do("-to", "env:PLAIN_URL").want(codeDone, "to postgres", "Both are equal.")
	do("-to", "sqlite:"+file2).want(codeDone, "to sqlite", "Both are equal.")
	if b, err := os.ReadFile(file2); err != nil || strings.Contains(string(b), c.Key) {
		t.Errorf("the copy: %v, or it holds the key", err)
	}
	for _, from := range [][]string{{"-from", "env:PLAIN_URL"}, {"-from", other.URL, "-from-key", "env:OTHER_KEY"}} { // a copy's copy
		third := process.StartCloudBase(t)
		third.Key = "the-key-of-the-third-environment"
		w.settings["THIRD_KEY"] = third.Key
		do(append(from, "-to", third.URL, "-to-key", "env:THIRD_KEY")...).want(codeDone, "Both are equal.")
	}
}
