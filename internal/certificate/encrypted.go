package certificate

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what old key files are encrypted with
	"crypto/md5" //nolint:gosec // what old key files are encrypted with
	"crypto/pbkdf2"
	"crypto/rc4"  //nolint:gosec // what old key files are encrypted with
	"crypto/sha1" //nolint:gosec // the schemes have it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"unicode/utf16"
)

// encryptedKey is an EncryptedPrivateKeyInfo (RFC 5958).
type encryptedKey struct {
	Scheme pkix.AlgorithmIdentifier
	Data   []byte
}

// pbes2 is what the scheme PBES2 needs (RFC 8018).
type pbes2 struct {
	Derivation pkix.AlgorithmIdentifier
	Cipher     pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// oldParams are those of PBES1 and of the schemes of PKCS#12 (RFC 7292, appendix C), which old guides for Java use: openssl pkcs8
// -topk8 -v1.
type oldParams struct {
	Salt       []byte
	Iterations int
}

var (
	oidPBES2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidRC4     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 1}
	oidSHA3DES = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidMD5DES  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3} // PBES1, openssl's choice before 1.1
)

// ciphers are those of PBES2: the length of the key and how a block cipher is made of it.
var ciphers = map[string]struct {
	key int
	new func([]byte) (cipher.Block, error)
}{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// prfs are the hashes of PBKDF2; none is SHA-1.
var prfs = map[string]func() hash.Hash{
	"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.8": sha256.New224, "1.2.840.113549.2.9": sha256.New,
	"1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New,
}

// maxIterations bounds the time that a key file can take.
const maxIterations = 100_000_000

var (
	errPassword = errors.New("the password does not open the key")
	errNoScheme = errors.New("the key is encrypted in a way that is not supported: convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc")
)

// decrypt opens the DER form of an encrypted PKCS#8 key. The result is PKCS#8 again, or rubbish when the password is wrong and the
// padding happens to fit. most bounds the work that the key may ask for.
func decrypt(der []byte, password string, most int) ([]byte, error) {
	var k encryptedKey
	if _, err := asn1.Unmarshal(der, &k); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	switch oid := k.Scheme.Algorithm; {
	case oid.Equal(oidPBES2):
		return decryptPBES2(&k, password, most)
	case oid.Equal(oidRC4), oid.Equal(oidSHA3DES), oid.Equal(oidMD5DES):
		return decryptOld(&k, password, most)
	}
	return nil, errNoScheme
}

func decryptPBES2(k *encryptedKey, password string, most int) ([]byte, error) {
	var s pbes2
	if _, err := asn1.Unmarshal(k.Scheme.Parameters.FullBytes, &s); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	c, ok := ciphers[s.Cipher.Algorithm.String()]
	if !ok || !s.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, errNoScheme
	}
	var p pbkdf2Params
	if _, err := asn1.Unmarshal(s.Derivation.Parameters.FullBytes, &p); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	prf, ok := prfs[p.PRF.Algorithm.String()]
	if !ok || p.Iterations < 1 || p.Iterations > most {
		return nil, errNoScheme
	}
	var iv []byte
	if _, err := asn1.Unmarshal(s.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	key, err := pbkdf2.Key(prf, password, p.Salt, p.Iterations, c.key)
	if err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	block, err := c.new(key)
	if err != nil {
		return nil, err
	}
	return unchain(block, iv, k.Data)
}

func decryptOld(k *encryptedKey, password string, most int) ([]byte, error) {
	var p oldParams
	if _, err := asn1.Unmarshal(k.Scheme.Parameters.FullBytes, &p); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	if p.Iterations < 1 || p.Iterations > most {
		return nil, errNoScheme
	}
	if k.Scheme.Algorithm.Equal(oidMD5DES) {
		d := md5.Sum(append([]byte(password), p.Salt...)) //nolint:gosec // the scheme has it
		for range p.Iterations - 1 {
			d = md5.Sum(d[:]) //nolint:gosec // the scheme has it
		}
		block, err := des.NewCipher(d[:8]) //nolint:gosec // the file says so
		if err != nil {
			return nil, err
		}
		return unchain(block, d[8:], k.Data)
	}
	if k.Scheme.Algorithm.Equal(oidRC4) {
		c, err := rc4.NewCipher(pkcs12Key(password, &p, 1, 16)) //nolint:gosec // the file says so
		if err != nil {
			return nil, err
		}
		out := make([]byte, len(k.Data))
		c.XORKeyStream(out, k.Data)
		return out, nil
	}
	block, err := des.NewTripleDESCipher(pkcs12Key(password, &p, 1, 24)) //nolint:gosec // the file says so
	if err != nil {
		return nil, err
	}
	return unchain(block, pkcs12Key(password, &p, 2, block.BlockSize()), k.Data)
}

// unchain is CBC with the padding of PKCS#7.
func unchain(b cipher.Block, iv, data []byte) ([]byte, error) {
	size := b.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("encrypted key: its length is wrong")
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(out, data)
	pad := int(out[len(out)-1])
	if pad < 1 || pad > size || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errPassword
	}
	return out[:len(out)-pad], nil
}

// pkcs12Key derives n bytes for the purpose id (1 key, 2 initial value) with SHA-1: RFC 7292, appendix B.2.
func pkcs12Key(password string, p *oldParams, id byte, n int) []byte {
	const u, v = sha1.Size, sha1.BlockSize
	units := append(utf16.Encode([]rune(password)), 0)
	secret := make([]byte, 0, 2*len(units)) // big-endian
	for _, c := range units {
		secret = append(secret, byte(c>>8), byte(c))
	}
	fill := func(b []byte) []byte { // repeated up to a multiple of v
		if len(b) == 0 {
			return nil
		}
		size := v * ((len(b) + v - 1) / v)
		return bytes.Repeat(b, size/len(b)+1)[:size]
	}
	d := bytes.Repeat([]byte{id}, v)
	in := append(fill(p.Salt), fill(secret)...)
	var out []byte
	for len(out) < n {
		a := sha1.Sum(append(bytes.Clone(d), in...)) //nolint:gosec // the scheme has it
		for range p.Iterations - 1 {
			a = sha1.Sum(a[:]) //nolint:gosec // the scheme has it
		}
		out = append(out, a[:]...)
		add := bytes.Repeat(a[:], v/u+1)[:v]
		for i := 0; i < len(in); i += v { // each block of v bytes plus add plus 1
			carry := 1
			for j := v - 1; j >= 0; j-- {
				carry += int(in[i+j]) + int(add[j])
				in[i+j] = byte(carry)
				carry >>= 8
			}
		}
	}
	return out[:n]
}
