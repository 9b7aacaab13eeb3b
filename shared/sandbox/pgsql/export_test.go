package pgsql

// A Request is a body that was let in.
type Request = request

// ReadRequest returns what a body asks, or the code of its refusal.
func ReadRequest(body []byte) (Request, string) {
	q, no := readRequest(body)
	if no != nil {
		return q, no.code
	}
	return q, ""
}

// Values returns how many values there are for parameters.
func (q Request) Values() int { return len(q.values) }
