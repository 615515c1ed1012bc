// Package authenticode reads who signed an EFI program.
//
// Secure Boot starts a program when a certificate of the firmware's db stands in the chain of one of its signatures,
// and neither the program nor such a certificate is in dbx. To tell beforehand whether a laptop will start an image,
// three facts about the image's boot loader are needed, and this package takes them out of its bytes:
//
//	Arch        the processor of the PE/COFF header
//	Digest      the SHA-256 by which db, dbx and signatures name the program (Authenticode)
//	Signatures  the certificates that came with each signature, the signer's first
//
// It does not judge: that needs the laptop's keys. It does not check the signature's own arithmetic either, which
// the firmware does; it checks that the signature is about these bytes.
//
// All of it may be hostile. Sizes are held against the input before they are used, lists are bounded, and ASN.1 is
// read by the standard library.
package authenticode
