package main

import (
	"maps"
	"strings"
	"testing"
)

// A mutation is a fault seeded into one file, and who has to find it.
type mutation struct {
	name, file string
	old, new   string
	caughtBy   string // a check, or a rule of AWS's validator
}

// mutations of our own facts, each found by the check that is named: of what is read of
// each file one, and of what is compared each part once.
var mutations = []mutation{
	{"another runtime", serverlessFile, "runtime: Go1", "runtime: CustomRuntime", "functions"},
	{"an entry that no package has", serverlessFile, "handler: main", "handler: index.main", "functions"},
	{"too short a timeout", serverlessFile, "timeout: 60", "timeout: 3", "functions"},
	{"too little memory", serverlessFile, "memorySize: 256", "memorySize: 64", "functions"},
	{"another name than mini-programs call", serverlessFile, "    wxpayFunctions:\n      name: wxpayFunctions", "    wxpayfunctions:\n      name: wxpayfunctions", "functions"},
	{"another name on Lambda", templateFile, "${AWS::StackName}-notify", "${AWS::StackName}-callback", "functions"},
	{"a name that another key has", serverlessFile, "name: reconcile", "name: notify", "functions"},
	{"another function's package", serverlessFile, "src: ./notify", "src: ./reconcile", "functions"},
	{"no timer, SCF", serverlessFile, "function: reconcile", "function: notify", "functions"},
	{"a timer that is off", serverlessFile, "enable: true", "enable: false", "functions"},
	{"a timer of another rhythm, SCF", serverlessFile, "'0 * * * * * *'", "'0 0 * * * * *'", "functions"},

	{"a variable forgotten, SCF", serverlessFile, "    - {key: WXPAY_APIV3_KEY, value: '${env:WXPAY_APIV3_KEY}'}\n", "", "configuration"},
	{"an optional variable forgotten, SCF", serverlessFile, "    - {key: REFUND_MAX_FEN, value: '${env:REFUND_MAX_FEN}'}\n", "", "variables"},
	{"a variable misspelt, Lambda", templateFile, "WXPAY_SERIAL_NO: ", "WXPAY_SERIAL_NUMBER: ", "variables"},
	{"a variable misspelt, CloudBase", cloudBaseFile, `"WXPAY_MCHID": `, `"WXPAY_MCH_ID": `, "variables"},
	{"a required variable under the wrong condition", templateFile, "WECOM_CORPID: !If [IsWeCom", "WECOM_CORPID: !If [IsGlobal", "configuration"},
	{"a part of the secret that nobody puts there", templateFile, "SecretString:apiv3_key", "SecretString:v3_key", "configuration"},
	{"a channel that the code does not know", templateFile, "AllowedValues: [apiv3, cloudbase", "AllowedValues: [v3, cloudbase", "configuration"},
	{"subscribers that cannot be reached", templateFile, ", !Condition HasNotifyFunctions]", "]", "configuration"},
	{"a ledger that the package does not hold", templateFile, "dynamodb://${Ledger}", "redis://${Ledger}", "configuration"},
	{"a variable that the package ignores", serverlessFile, "{key: LOG_LEVEL, value: '${env:LOG_LEVEL}'}", "{key: LOGLEVEL, value: '${env:LOGLEVEL}'}", "variables"},
	{"SQLite allowed", serverlessFile, "{key: LOG_LEVEL,", "{key: LEDGER_ALLOW_SQLITE, value: '${env:LEDGER_ALLOW_SQLITE}'}\n    - {key: LOG_LEVEL,", "variables"},
	{"a value of another variable's", serverlessFile, "{key: WXPAY_MCHID, value: '${env:WXPAY_MCHID}'}", "{key: WXPAY_MCHID, value: '${env:WXPAY_SUB_MCHID}'}", "references"},
	{".env.example lacks one", envFile, "\nWXPAY_MCHID=\n", "\n", "references"},
	{".env.example names one that nothing reads", envFile, "\nWXPAY_MCHID=\n", "\nWXPAY_MCHID=\nWXPAY_MCH=\n", "references"},

	{"a literal secret, SCF", serverlessFile, "value: '${env:WXPAY_APIV3_KEY}'", "value: 'uH7x2KqPz4sV9wBn3mTr6yLc8dEf5gJa'", "references"},
	{"a value of another variable's, CloudBase", cloudBaseFile, `"WXPAY_MCHID": "1900000109"`, `"WXPAY_MCHID": "1900000110"`, "references"},
	{"another channel's variable, CloudBase", cloudBaseFile, `"WXPAY_MCHID": `, `"WECOM_CORPID": "ww", "WXPAY_MCHID": `, "variables"},
	{"no timer, CloudBase", cloudBaseFile, `"timer"`, `"cron"`, "functions"},
	{"no HTTP function, CloudBase", cloudBaseFile, `"HTTP"`, `"Event"`, "functions"},
	{"the other form's package, CloudBase", cloudBaseFile, `"./http/notify"`, `"./event/notify"`, "functions"},
	{"a notify that nobody may call, CloudBase", cloudBaseFile, `"public": true`, `"public": false`, "functions"},
	{"a route that wants a login, CloudBase", cloudBaseFile, `"enableAuth": false`, `"enableAuth": true`, "functions"},
	{"a route to the dispatcher, CloudBase", cloudBaseFile, `"function:notify"`, `"function:wxpayFunctions"`, "functions"},
	{"a literal secret, Lambda", templateFile, "!Sub '{{resolve:secretsmanager:${MerchantKeys}:SecretString:apiv3_key}}'", "uH7x2KqPz4sV9wBn3mTr6yLc8dEf5gJa", "literals"},
	{"a secret as a parameter", templateFile, "!Sub '{{resolve:secretsmanager:${MerchantKeys}:SecretString:corpsecret}}'", "!Ref CorpId", "literals"},
	{"a secret in plain Parameter Store", templateFile, "{{resolve:secretsmanager:${MerchantKeys}:SecretString:private_key}}", "{{resolve:ssm:private_key:1}}", "literals"},
	{"a private key in a comment", serverlessFile, "# Every function reads", "# -----BEGIN PRIVATE KEY-----\n  # Every function reads", "literals"},
	{"an access key in a comment", templateFile, "# go run", "# AKIAIOSFODNN7EXAMPLE\n# go run", "literals"},
	{"a value in .env.example", envFile, "WXPAY_APIV3_KEY=", "WXPAY_APIV3_KEY=uH7x2KqPz4sV9wBn3mTr6yLc8dEf5gJa", "literals"},

	{"a rule without *", englishFile, `{"*": {"invoke": "auth != null"}, `, `{`, "rule"},
	{"notify open to clients", chineseFile, `"notify": {"invoke": false}`, `"notify": {"invoke": true}`, "rule"},

	{"another partition key", templateFile, "- {AttributeName: item_key, KeyType: HASH}", "- {AttributeName: id, KeyType: HASH}", "table"},
	{"another index", templateFile, "IndexName: due\n", "IndexName: by_due\n", "table"},
	{"an index without the items", templateFile, "ProjectionType: ALL", "ProjectionType: KEYS_ONLY", "table"},
	{"no index of classes", templateFile, "IndexName: class\n", "IndexName: by_class\n", "table"},
	{"an index of classes that is written with every item", templateFile, "ProjectionType: KEYS_ONLY", "ProjectionType: ALL", "table"},
	{"a table that expires", templateFile, "      BillingMode: PAY_PER_REQUEST\n", "      BillingMode: PAY_PER_REQUEST\n      TimeToLiveSpecification: {AttributeName: due, Enabled: true}\n", "table"},
	{"a table that goes with the stack", templateFile, "    Type: AWS::DynamoDB::Table\n    DeletionPolicy: Retain", "    Type: AWS::DynamoDB::Table\n    DeletionPolicy: Delete", "table"},
	{"a table without backups", templateFile, "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "table"},

	{"too few rights", templateFile, "Action: [dynamodb:GetItem, dynamodb:PutItem]", "Action: [dynamodb:GetItem]", "roles"},
	{"too many rights", templateFile, "Action: [dynamodb:GetItem, dynamodb:PutItem]", "Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:DeleteItem]", "roles"},
	{"all rights", templateFile, "Action: [dynamodb:GetItem, dynamodb:PutItem]", "Action: dynamodb:*", "roles"},
	{"every table", templateFile, "Resource: !GetAtt Ledger.Arn", "Resource: '*'", "roles"},
	{"no right to list", templateFile, "Action: dynamodb:Query", "Action: dynamodb:Scan", "roles"},
	{"the table listed where the index is", templateFile, "!Sub ${Ledger.Arn}/index/due", "!GetAtt Ledger.Arn", "roles"},
	{"classes not to be listed", templateFile, "${Ledger.Arn}/index/class", "${Ledger.Arn}/index/other", "roles"},
	{"another function that may read the whole table", templateFile, "Action: [dynamodb:GetItem, dynamodb:PutItem]", "Action: [dynamodb:BatchGetItem, dynamodb:GetItem, dynamodb:PutItem, dynamodb:Scan]", "roles"},
	{"another function's role", templateFile, "Role: !GetAtt NotifyRole.Arn", "Role: !GetAtt ReconcileRole.Arn", "roles"},
	{"a role shared by way of a managed policy", templateFile, "      Policies:\n", "      ManagedPolicyArns: [arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess]\n      Policies:\n", "roles"},

	{"anyone may invoke directly", templateFile, "      InvokedViaFunctionUrl: true\n", "", "door"},
	{"a URL of the dispatcher", templateFile, "TargetFunctionArn: !Ref Notify", "TargetFunctionArn: !Ref Dispatcher", "door"},
	{"the URL not permitted", templateFile, "      Action: lambda:InvokeFunctionUrl\n", "      Action: lambda:GetFunction\n", "door"},
	{"another function by the gateway", templateFile, "          Type: Schedule\n", "          Type: HttpApi\n", "door"},

	{"a log for ever", templateFile, "Properties: {RetentionInDays: !Ref LogRetentionDays}", "Properties: {}", "logs"},
	{"another function's log", templateFile, "LoggingConfig: {LogGroup: !Ref NotifyLog}", "LoggingConfig: {LogGroup: !Ref ReconcileLog}", "logs"},
	{"the platform's own log group", templateFile, "      LoggingConfig: {LogGroup: !Ref ReconcileLog}\n", "", "logs"},

	{"an alarm on a metric that nothing counts", templateFile, "MetricName: StuckRefunds\n", "MetricName: Stuck\n", "alarms"},
	{"an alarm that tells nobody", templateFile, "      AlarmActions: [!Ref AlarmTopic]\n", "", "alarms"},
	{"an alarm that cannot ring", templateFile, "      Threshold: 1\n", "      Threshold: 1000\n", "alarms"},
	{"silence taken for health", templateFile, "TreatMissingData: breaching", "TreatMissingData: notBreaching", "alarms"},
	{"signatures counted in another log", templateFile, "LogGroupName: !Ref NotifyLog\n      FilterPattern: '{ $.msg = \"refused", "LogGroupName: !Ref DispatcherLog\n      FilterPattern: '{ $.msg = \"refused", "alarms"},
}

// seeded returns the files with the fault in.
func (m mutation) seeded(t *testing.T, f files) files {
	t.Helper()
	mutated := maps.Clone(f)
	if mutated[m.file] = strings.Replace(f[m.file], m.old, m.new, 1); mutated[m.file] == f[m.file] {
		t.Fatalf("%s: %s does not hold %q any more", m.name, m.file, m.old)
	}
	return mutated
}

// Each check finds what it is for. A fault that nobody would find is no check.
func TestDeploymentChecksFindSeededFaults(t *testing.T) {
	f := readFiles(t)
	found := map[string]bool{}
	for _, m := range mutations {
		if len(m.seeded(t, f).found(m.caughtBy)) == 0 {
			t.Errorf("%s: not found by %q", m.name, m.caughtBy)
		}
		found[m.caughtBy] = true
		t.Logf("%-45s %-14s caught by %s", m.name, m.file, m.caughtBy)
	}
	for _, c := range checks {
		if !found[c.name] {
			t.Errorf("no seeded fault shows that %q finds anything", c.name)
		}
	}
}
