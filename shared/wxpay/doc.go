// Package wxpay speaks WeChat Pay's protocols, either side.
//
// Everything in APIv3 rests on two secrets and their public halves. A merchant
// signs its requests with its own RSA key ([Signer]); WeChat Pay signs its
// replies and its notifications with one of its platform keys ([Platform]), and
// seals what is confidential in them with the 32 bytes that it shares with the
// merchant ([APIv3Key]). To seal is to encrypt so that a change would be noticed, to
// open is to decrypt (AEAD); of v2's req_info only the first half is true. Whoever verifies is handed the raw bytes of a message
// and believes nothing in them before the signature holds: [Keyring.Verify] and
// [Credential.Verify] come first, [ParseNotification] and [APIv3Key.Open] after.
//
// The older v2, which WeChat Pay Global and CloudBase still speak, knows one secret
// and no public half: who can verify can also sign ([APIKey]). Its messages are
// flat XML ([ParseFields]); requests and answers are signed in them
// ([APIKey.Verify]), a notification is only sealed ([APIKey.OpenReqInfo]), and a
// refund wants a client certificate in TLS besides ([ParseClientCertificate]).
//
// A day's [Bill] is read line by line, since it may be larger than a function's memory.
//
// Both sides live here because they are one protocol seen twice: the back end
// needs one half, the sandbox the other. A mistake made symmetrically would
// hide from tests that use only these two, so the tests hold each half against
// WeChat Pay's own SDK as well, and v2 against the vectors in WeChat Pay's documents.
//
// What is here of the protocol is from WeChat Pay's documents, cited where they
// are followed by their paths under pay.weixin.qq.com. Where those disagree or
// are silent, the SDK's behaviour decides, and the comment says so.
//
// Signatures are about real time, so where APIv3 needs the present, time.Now is
// called here; no clock can be set. What the sandbox verifies is told the time. v2
// has none. Nothing in this package starts a goroutine.
package wxpay
