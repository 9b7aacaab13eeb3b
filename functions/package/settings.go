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
			English: "the VPC in which the database is",
			Chinese: "数据库所在的 VPC"},
		{Name: "SCF_SUBNET_ID", Example: "subnet-1a2b3c4d",
			English: "its subnet",
			Chinese: "其子网"},
		{Name: "SCF_CLS_LOGSET_ID",
			English: "where the log is kept; only serverless.yml reads it", Chinese: "日志集；仅 serverless.yml 读取"},
		{Name: "SCF_CLS_TOPIC_ID",
			English: "its topic", Chinese: "日志主题；同上"},
	}
}

// printSettings prints the list of settings in one of its forms.
func printSettings(out io.Writer, form string) error {
	text := map[string]func() string{
		"env": envExample,
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
		return fmt.Errorf("-settings is %q, want env, markdown-en or markdown-zh", form)
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

const envHead = `# What serverless.yml and go run ./functions/package read. Copy it to .env, which git
# ignores, and fill it in: go run ./functions/package then tells what is wrong or missing.
# For serverless.yml leave empty what you do not need, but leave no line out: for one
# that is missing scf deploys the word "undefined".
# A key or certificate is PEM: on one line, as awk '{printf "%s\\n", $0}' apiclient_key.pem
# prints it, or over many lines in double quotes. file:PATH, relative to this file, is
# copied in by go run ./functions/package for tcb; scf would deploy the path alone.
#
# 本文件由 go run ./functions/package -settings env 生成。复制为 .env（git 会忽略）后填写；
# 运行 go run ./functions/package 会指出缺失或写错的变量。用 serverless.yml 部署时不需要的留空，
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
		b.WriteString("\n")
		for _, text := range []string{s.English, s.Chinese} {
			for _, line := range wrapped(strings.ReplaceAll(text, "`", "")) {
				b.WriteString("# " + line + "\n")
			}
		}
		var notes []string
		for _, note := range []struct{ head, value string }{{"required 必填: ", s.Required}, {"optional 可选: ", s.Optional}, {"example 示例: ", s.Example}} {
			if note.value != "" && note.value != everyone {
				notes = append(notes, note.head+note.value)
			} else if note.value == everyone && s.Required == everyone {
				notes = append(notes, note.head+"all 全部")
			}
		}
		if len(notes) > 0 {
			b.WriteString("# " + strings.Join(notes, "; ") + "\n")
		}
		b.WriteString(s.Name + "=" + s.Preset + "\n")
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
