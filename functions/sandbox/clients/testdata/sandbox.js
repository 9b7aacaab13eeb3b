// What every script here needs: the sandbox that it is told of, a receiver of
// notifications, and a way to say what came of it.
const http = require('http')

// Where the sandbox is, what kind of merchant it has, and what the merchant knows.
const sandbox = JSON.parse(process.env.SANDBOX)

// report says what came of a check, as one line of JSON.
const report = (check, outcome) => console.log(JSON.stringify({ check, outcome: String(outcome) }))

// attempt reports what a call comes to, or how it is refused.
async function attempt(check, call, refusal = () => 'refused') {
  let outcome
  try {
    outcome = await call()
  } catch (e) {
    outcome = refusal(e)
  }
  report(check, outcome)
}

// control drives the sandbox by one of its doors below /_sandbox/.
async function control(path, body) {
  const headers = { 'Content-Type': 'application/json' }
  const answer = await fetch(sandbox.control + path, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
}

// receive listens for notifications. judge returns what one says, or throws if it is not
// to be believed; then it is not acknowledged.
async function receive(judge, acknowledgement) {
  const received = []
  const server = http.createServer(async (request, response) => {
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    const notification = { headers: request.headers, body, outcome: 'refused' }
    try {
      notification.outcome = await judge(notification)
    } catch (e) {
      response.statusCode = 401
    }
    received.push(notification)
    response.end(response.statusCode === 200 ? acknowledgement : '')
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return { received, url: `http://127.0.0.1:${server.address().port}/notify`, close: () => server.close() }
}

// settle lets a refund succeed, and has a notification that was tampered with come
// before the genuine one. It returns how the client took either.
async function settle(receiver, number) {
  const before = receiver.received.length
  await control('/_sandbox/faults', { notify: 'tamper', count: 1 })
  await control(`/_sandbox/refunds/${number}/settle`, { status: 'SUCCESS' })
  await control('/_sandbox/clock', { advance: '1m' })
  const [tampered, genuine] = receiver.received.slice(before)
  return { tampered, genuine }
}

module.exports = { sandbox, report, attempt, control, receive, settle }
