// Package cert makes the evidence of what became of a drive: a Certificate when it was sanitised, a Destruction record
// when it was not and is no more. Each is one JSON file that anybody can check with nothing but a public key.
//
// The idea: paper says what somebody wrote, a signature says what somebody knew. So there is one place that signs, the
// Signer, and it signs a Certificate only from the Report of a wipe that was completed and verified: it goes through
// the Report itself and does not ask whether its caller did. A PDF is a picture of the signed file and never the record.
//
//	{"record": {...}, "signature": {"algorithm": "ed25519", "key": "hex", "value": "hex"}}
//
// The file is canonical JSON (RFC 8785, whole numbers only): there is exactly one text for what it says, so that a
// change of any byte, a blank too, is seen. The signature is over "ingot signed wipe-certificate", a zero byte, and the
// canonical record. Records form one chain: each carries its number, from 1 without gaps, and the SHA-256 of the file
// before it, so that none can be taken out or put between without the next one telling.
//
// A Certificate says apart from each other: what was done (technique, command and what the drive answered), what is
// claimed for it (Clear or Purge), and under which policy of this site (name and version). That a site's programme
// complies with a standard is the site's to say, and stands nowhere in it. What a forged agent on a machine without
// Secure Boot tells of its own drive cannot be known here: so it says which agent build and key reported, and over
// which boot chain.
package cert
