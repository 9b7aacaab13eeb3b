// Empty is a function that does nothing: what a cold start costs at least.
package main

const reply = `{}`
