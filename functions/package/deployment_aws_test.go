package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// resources are the template's of one type, by name.
func (f files) resources(kind string) map[string]any {
	doc, err := plainYAML(f[templateFile])
	if err != nil {
		return nil
	}
	found := map[string]any{}
	for id, r := range mapAt(doc, "Resources") {
		if textAt(r, "Type") == kind {
			found[id] = r
		}
	}
	return found
}

// checkTable holds the table against what shared/ledger needs, and against what
// would lose it. That the ledger takes it TestTemplateTableIsALedger shows.
func checkTable(f files) []string {
	tables := f.resources("AWS::DynamoDB::Table")
	if len(tables) != 1 || tables["Ledger"] == nil {
		return []string{fmt.Sprintf("the tables are %v, want Ledger alone", slices.Sorted(maps.Keys(tables)))}
	}
	table := tables["Ledger"]
	want := map[string]any{
		"BillingMode":                      "PAY_PER_REQUEST",
		"DeletionProtectionEnabled":        true,
		"PointInTimeRecoverySpecification": map[string]any{"PointInTimeRecoveryEnabled": true},
		"SSESpecification":                 map[string]any{"SSEEnabled": true},
		"AttributeDefinitions": []any{attribute("item_key", "S"), attribute("due_shard", "S"), attribute("due_place", "S"),
			attribute("class", "S"), attribute("class_place", "S")},
		"KeySchema": []any{keyElement("item_key", "HASH")},
		"GlobalSecondaryIndexes": []any{map[string]any{
			"IndexName":  "due",
			"KeySchema":  []any{keyElement("due_shard", "HASH"), keyElement("due_place", "RANGE")},
			"Projection": map[string]any{"ProjectionType": "ALL"},
		}, map[string]any{
			"IndexName":  "class",
			"KeySchema":  []any{keyElement("class", "HASH"), keyElement("class_place", "RANGE")},
			"Projection": map[string]any{"ProjectionType": "KEYS_ONLY"},
		}},
	} // and no TimeToLiveSpecification: what is known of money does not expire
	var problems []string
	if d := cmp.Diff(want, at(table, "Properties")); d != "" {
		problems = append(problems, "the table's properties (-want +got):\n"+d)
	}
	for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
		if got := textAt(table, policy); got != "Retain" {
			problems = append(problems, fmt.Sprintf("the table's %s is %q, want Retain", policy, got))
		}
	}
	return problems
}

func attribute(name, kind string) any {
	return map[string]any{"AttributeName": name, "AttributeType": kind}
}

func keyElement(name, kind string) any {
	return map[string]any{"AttributeName": name, "KeyType": kind}
}

// actions are what IAM calls what the code calls. Of a transaction it asks what
// its parts are.
var actions = map[string]string{
	"GetItem": "dynamodb:GetItem", "TransactGetItems.Get": "dynamodb:GetItem",
	"PutItem": "dynamodb:PutItem", "TransactWriteItems.Put": "dynamodb:PutItem",
	"TransactWriteItems.Update": "dynamodb:UpdateItem", "TransactWriteItems.Delete": "dynamodb:DeleteItem",
	"TransactWriteItems.ConditionCheck": "dynamodb:ConditionCheckItem",
	"Query":                             "dynamodb:Query", "Scan": "dynamodb:Scan", "UpdateItem": "dynamodb:UpdateItem", "DeleteItem": "dynamodb:DeleteItem",
	"BatchGetItem": "dynamodb:BatchGetItem", "BatchWriteItem": "dynamodb:BatchWriteItem",
	// Only create=true and people do these: on one's own machine, and from it.
	"CreateTable": "", "DescribeTable": "", "UpdateTable": "", "Options": "",
}

// calledActions reads in the ledger's source which actions of DynamoDB it needs.
func calledActions() ([]string, error) {
	sources, err := filepath.Glob("../../shared/ledger/dynamodb*.go")
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		var unknown error
		note := func(call string) {
			action, known := actions[call]
			if !known {
				unknown = fmt.Errorf("%s calls %s, of which no action is known", path, call)
			}
			if action != "" {
				found[action] = true
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr: // d.client.X(...)
				method, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				client, ok := method.X.(*ast.SelectorExpr)
				if ok && client.Sel.Name == "client" && !strings.HasPrefix(method.Sel.Name, "Transact") {
					note(method.Sel.Name)
				}
			case *ast.CompositeLit: // types.TransactGetItem{Get: ...}
				if kind, ok := n.Type.(*ast.SelectorExpr); ok && kind.Sel.Name == "TransactGetItem" {
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok {
							note("TransactGetItems." + kv.Key.(*ast.Ident).Name)
						}
					}
				}
			case *ast.AssignStmt: // puts[i].Put = put
				if part, ok := n.Lhs[0].(*ast.SelectorExpr); ok {
					if _, ok := part.X.(*ast.IndexExpr); ok && slices.Contains([]string{"Put", "Update", "Delete", "ConditionCheck"}, part.Sel.Name) {
						note("TransactWriteItems." + part.Sel.Name)
					}
				}
			}
			return true
		})
		if unknown != nil {
			return nil, unknown
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// checkRoles wants each function to have a role of its own that may do what its
// code does, on its own table and log, and nothing else.
func checkRoles(f files) []string {
	called, err := calledActions()
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	roles := f.resources("AWS::IAM::Role")
	for id, function := range f.resources("AWS::Serverless::Function") {
		role := textAt(function, "Properties", "Role")
		if want := fmt.Sprint(map[string]any{"Fn::GetAtt": []any{id + "Role", "Arn"}}); role != want {
			problems = append(problems, fmt.Sprintf("the role of %s is %s, want %s", id, role, want))
		}
		props := at(roles[id+"Role"], "Properties")
		got := map[string][]string{}
		for _, p := range listAt(props, "Policies") {
			for _, s := range listAt(p, "PolicyDocument", "Statement") {
				resource := fmt.Sprint(at(s, "Resource"))
				granted := listAt(s, "Action")
				if granted == nil {
					granted = []any{at(s, "Action")}
				}
				for _, a := range granted {
					got[resource] = append(got[resource], fmt.Sprint(a))
				}
			}
		}
		table := fmt.Sprint(map[string]any{"Fn::GetAtt": []any{"Ledger", "Arn"}})
		log := fmt.Sprint(map[string]any{"Fn::GetAtt": []any{id + "Log", "Arn"}})
		want := map[string][]string{table: nil, log: {"logs:CreateLogStream", "logs:PutLogEvents"}}
		for _, action := range called {
			switch {
			case !slices.Contains([]string{"dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem"}, action):
				want[table] = append(want[table], action)
			case id == "Notify", id == "Dispatcher" && action == "dynamodb:Scan": // who lists what: TestWhoListsTheLedger
			case action != "dynamodb:Query":
				want[table] = append(want[table], action)
			default:
				indexes := []string{"due", "class"}
				if id == "Dispatcher" { // applications and refunds by state
					indexes = []string{"class"}
				}
				for _, index := range indexes {
					want[fmt.Sprint(map[string]any{"Fn::Sub": "${Ledger.Arn}/index/" + index})] = []string{action}
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			problems = append(problems, fmt.Sprintf("what %s may (-want +got):\n%s", id, d))
		}
		if at(props, "ManagedPolicyArns") != nil || at(function, "Properties", "Policies") != nil {
			problems = append(problems, id+" has policies beside its own")
		}
	}
	if len(roles) != len(deployed) {
		problems = append(problems, fmt.Sprintf("the roles are %v", slices.Sorted(maps.Keys(roles))))
	}
	return problems
}

// checkDoor wants notify alone to have a URL, and nobody to invoke it past that.
func checkDoor(f files) []string {
	var problems []string
	urls := f.resources("AWS::Lambda::Url")
	if len(urls) != 1 || textAt(urls["NotifyAddress"], "Properties", "TargetFunctionArn", "Ref") != "Notify" {
		problems = append(problems, fmt.Sprintf("the URLs are %v, want one of notify", urls))
	}
	got := map[string]any{}
	for id, p := range f.resources("AWS::Lambda::Permission") {
		got[textAt(p, "Properties", "Action")] = at(p, "Properties")
		if textAt(p, "Properties", "FunctionName", "Ref") != "Notify" {
			problems = append(problems, id+" opens another function than notify")
		}
	}
	notify := map[string]any{"Ref": "Notify"}
	want := map[string]any{
		"lambda:InvokeFunctionUrl": map[string]any{"FunctionName": notify, "Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"},
		"lambda:InvokeFunction":    map[string]any{"FunctionName": notify, "Action": "lambda:InvokeFunction", "Principal": "*", "InvokedViaFunctionUrl": true},
	}
	if d := cmp.Diff(want, got); d != "" {
		problems = append(problems, "who may invoke (-want +got):\n"+d)
	}
	for id, function := range f.resources("AWS::Serverless::Function") {
		for _, e := range mapAt(function, "Properties", "Events") {
			if kind := textAt(e, "Type"); kind != "Schedule" || id != "Reconcile" {
				problems = append(problems, fmt.Sprintf("%s is opened by an event of type %s", id, kind))
			}
		}
		if at(function, "Properties", "FunctionUrlConfig") != nil {
			problems = append(problems, id+" has a URL of its own")
		}
	}
	return problems
}

// checkLogs wants each function to write into a group of its own that is kept for
// a time that is said, whatever becomes of the stack.
func checkLogs(f files) []string {
	var problems []string
	groups := f.resources("AWS::Logs::LogGroup")
	for id, function := range f.resources("AWS::Serverless::Function") {
		if got := textAt(function, "Properties", "LoggingConfig", "LogGroup", "Ref"); got != id+"Log" {
			problems = append(problems, fmt.Sprintf("%s logs into %q, want %sLog", id, got, id))
		}
		group := groups[id+"Log"]
		if got := textAt(group, "Properties", "RetentionInDays", "Ref"); got != "LogRetentionDays" {
			problems = append(problems, fmt.Sprintf("the log of %s is kept for %q, want what the parameter says", id, got))
		}
		if got := textAt(group, "DeletionPolicy"); got != "Retain" {
			problems = append(problems, fmt.Sprintf("the log of %s: DeletionPolicy is %q, want Retain", id, got))
		}
	}
	return problems
}

// checkAlarms wants each alarm to watch a metric that a filter makes, with the
// threshold that its meaning asks for, and to tell somebody.
func checkAlarms(f files) []string {
	type alarm struct{ Metric, Threshold, Compares, Missing string }
	want := map[string]alarm{
		"SignaturesAreRefused": {"RefusedSignatures", "map[Ref:RefusedSignatures]", "GreaterThanOrEqualToThreshold", "notBreaching"},
		"RefundIsStuck":        {"StuckRefunds", "1", "GreaterThanOrEqualToThreshold", "notBreaching"},
		"PersonShouldLook":     {"Alarms", "1", "GreaterThanOrEqualToThreshold", "notBreaching"},
		"NothingIsReconciled":  {"Reconciliations", "1", "LessThanThreshold", "breaching"},
	}
	got := map[string]alarm{}
	var problems []string
	stackName := fmt.Sprint(map[string]any{"Ref": "AWS::StackName"})
	for id, a := range f.resources("AWS::CloudWatch::Alarm") {
		p := at(a, "Properties")
		got[id] = alarm{textAt(p, "MetricName"), textAt(p, "Threshold"), textAt(p, "ComparisonOperator"), textAt(p, "TreatMissingData")}
		if to := fmt.Sprint(at(p, "AlarmActions")); to != fmt.Sprint([]any{map[string]any{"Ref": "AlarmTopic"}}) {
			problems = append(problems, fmt.Sprintf("%s tells %s", id, to))
		}
		if textAt(p, "Namespace") != stackName || textAt(p, "Statistic") != "Sum" {
			problems = append(problems, id+" looks for its metric elsewhere")
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		problems = append(problems, "the alarms (-want +got):\n"+d)
	}
	made := map[string][]string{}
	for id, filter := range f.resources("AWS::Logs::MetricFilter") {
		p := at(filter, "Properties")
		for _, m := range listAt(p, "MetricTransformations") {
			if textAt(m, "MetricNamespace") != stackName || textAt(m, "MetricValue") != "1" {
				problems = append(problems, id+" counts elsewhere, or not by ones")
			}
			made[textAt(m, "MetricName")] = append(made[textAt(m, "MetricName")], textAt(p, "LogGroupName", "Ref"))
		}
	}
	for _, groups := range made {
		slices.Sort(groups)
	}
	wantMade := map[string][]string{
		"RefusedSignatures": {"NotifyLog"}, "StuckRefunds": {"ReconcileLog"}, "Reconciliations": {"ReconcileLog"},
		"Alarms": {"DispatcherLog", "NotifyLog", "ReconcileLog"},
	}
	if d := cmp.Diff(wantMade, made); d != "" {
		problems = append(problems, "the metrics, and the logs that they count in (-want +got):\n"+d)
	}
	return problems
}
