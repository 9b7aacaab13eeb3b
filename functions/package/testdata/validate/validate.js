// Prints a line of JSON for each template that is named: what is wrong with it,
// but for what is only advice.
const { RegoEngine, TemplateFile } = require('@aws/cloudformation-validate')

const engine = new RegoEngine()
for (const file of process.argv.slice(2)) {
  const report = engine.validateStandard(new TemplateFile(file), { severityLevel: 'WARN' })
  const found = report.diagnostics.map((d) => `${d.severity} ${d.ruleId} ${d.startLine}: ${d.message}`)
  if (report.status !== 'OK') found.push(`ERROR the analysis ended with ${report.status}`)
  console.log(JSON.stringify({ file, found }))
}
engine.free()
