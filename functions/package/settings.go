package main

import (
	"fmt"
	"io"
	"strings"

	"wxrefund/shared/config"
)

// deploymentSettings are what .env holds beside the functions' own settings: where
// they are deployed. The functions do not read them.
func deploymentSettings() []config.Setting {
	return []config.Setting{
		{Name: "SCF_REGION", Preset: "ap-shanghai", Example: "ap-shanghai",
			English: "region of the CloudBase environment: `ap-shanghai` or `ap-guangzhou`",
			Chinese: "云开发环境所在地域：`ap-shanghai` 或 `ap-guangzhou`"},
		{Name: "SCF_VPC_ID", Example: "vpc-1a2b3c4d",
			English: "only with TDSQL-C or another database in a VPC: that VPC",
			Chinese: "仅 TDSQL-C 等 VPC 内的数据库需要：数据库所在的 VPC"},
		{Name: "SCF_SUBNET_ID", Example: "subnet-1a2b3c4d",
			English: "its subnet",
			Chinese: "该 VPC 的子网"},
		{Name: "SCF_CLS_LOGSET_ID",
			English: "where the log is kept; only serverless.yml reads it", Chinese: "日志集；仅 serverless.yml 读取"},
		{Name: "SCF_CLS_TOPIC_ID",
			English: "its topic", Chinese: "日志主题；同上"},
	}
}

// printSettings prints the list of settings in one of its forms.
func printSettings(out io.Writer, form string) error {
	text := map[string]func() string{
		"env":       envExample,
		"cloudbase": shortestEnv,
		"markdown-en": func() string {
			return markdown("| variable | channels: **required**, optional | meaning | example |", "all", "secret",
				func(s config.Setting) string { return s.English })
		},
		"markdown-zh": func() string {
			return markdown("| 变量 | 通道：**必填**、可选 | 含义 | 示例 |", "全部", "保密",
				func(s config.Setting) string { return s.Chinese })
		},
	}[form]
	if text == nil {
		return fmt.Errorf("-settings is %q, want env, cloudbase, markdown-en or markdown-zh", form)
	}
	_, err := io.WriteString(out, text())
	return err
}

// markdown is the table of all settings.
func markdown(head, all, secret string, meaning func(config.Setting) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n|---|---|---|---|\n", head)
	everyone := strings.Join(config.Channels(), " ")
	name := func(channels string) string {
		if channels == everyone {
			return all
		}
		return channels
	}
	for _, s := range config.Settings() {
		var channels []string
		if s.Required != "" {
			channels = append(channels, "**"+name(s.Required)+"**")
		}
		if s.Optional != "" {
			channels = append(channels, name(s.Optional))
		}
		example := secret
		if !s.Secret {
			example = "`" + s.Example + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, strings.Join(channels, ", "), meaning(s), example)
	}
	return b.String()
}

const envHead = `# What go run ./functions/package -for cloudbase and serverless.yml read. Copy it to .env,
# which git ignores, and fill it in: the first of them then tells what is wrong or missing.
# The few lines that a CloudBase environment with its own PostgreSQL needs are printed by
# go run ./functions/package -settings cloudbase.
# For serverless.yml leave empty what you do not need, but leave no line out: for one
# that is missing scf deploys the word "undefined".
# A key or certificate is PEM: on one line, as awk '{printf "%s\\n", $0}' apiclient_key.pem
# prints it, or over many lines in double quotes. file:PATH, relative to this file, is
# copied in by go run ./functions/package for tcb; scf would deploy the path alone.
#
# 本文件由 go run ./functions/package -settings env 生成；只用云开发环境自带的 PostgreSQL 时，所需的几行见
# go run ./functions/package -settings cloudbase。复制为 .env（git 会忽略）后填写；
# 运行 go run ./functions/package -for cloudbase 会指出缺失或写错的变量。用 serverless.yml 部署时不需要的留空，
# 但不要删行，否则 scf 会部署成 "undefined"。密钥和证书写成以 \n 连接的一行，或用双引号括起的多行 PEM。
# file:PATH（相对本文件的路径）由 go run ./functions/package 读入，供 tcb 部署；scf 只会部署路径本身。
`

// envExample is .env.example: all that a deployment to CloudBase or SCF may set.
func envExample() string {
	var b strings.Builder
	b.WriteString(envHead)
	settings := deploymentSettings()
	for _, s := range config.Settings() {
		if s.In&config.SCF != 0 {
			settings = append(settings, s)
		}
	}
	everyone := strings.Join(config.Channels(), " ")
	for _, s := range settings {
		var notes []string
		for _, note := range []struct{ head, value string }{{"required 必填: ", s.Required}, {"optional 可选: ", s.Optional}, {"example 示例: ", s.Example}} {
			if note.value != "" && note.value != everyone {
				notes = append(notes, note.head+note.value)
			} else if note.value == everyone && s.Required == everyone {
				notes = append(notes, note.head+"all 全部")
			}
		}
		b.WriteString("\n" + comments(s, notes...) + s.Name + "=" + s.Preset + "\n")
	}
	return b.String()
}

const shortestHead = `# A refund back end in a CloudBase environment of its own PostgreSQL, on the channel apiv3:
# fill it in as .env, and go run ./functions/package -for cloudbase. Keys are written as
# .env.example says: file:PATH, relative to this file, is copied in. All other settings: there.
#
# 只有云开发环境（自带 PostgreSQL）、上游为 apiv3 时的全部配置：填好保存为 .env，再运行
# go run ./functions/package -for cloudbase。密钥写法见 .env.example：file:PATH 相对本文件，内容会被读入。其他配置也见该文件。
`

// shortestEnv is a .env for those who have a CloudBase environment and nothing else.
func shortestEnv() string {
	var b strings.Builder
	b.WriteString(shortestHead)
	for _, n := range needed("apiv3", cloudLedgers[0]) {
		var notes []string
		if n.Example != "" {
			notes = []string{"example 示例: " + n.Example}
		}
		b.WriteString("\n" + comments(n.Setting, notes...) + n.Name + "=\n")
	}
	for _, s := range config.Settings() {
		if s.Name == "REFUND_OPERATORS" {
			b.WriteString("\n" + comments(s, "example 示例: "+s.Example) + "# " + s.Name + "=\n")
		}
	}
	return b.String()
}

// comments are the lines above a setting: what it means, and notes.
func comments(s config.Setting, notes ...string) string {
	var b strings.Builder
	for _, text := range []string{s.English, s.Chinese} {
		for _, line := range wrapped(strings.ReplaceAll(text, "`", "")) {
			b.WriteString("# " + line + "\n")
		}
	}
	if len(notes) > 0 {
		b.WriteString("# " + strings.Join(notes, "; ") + "\n")
	}
	return b.String()
}

// wrapped breaks a text into lines of at most a hundred letters, between words.
func wrapped(text string) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line+" "+word)) > 100 {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
