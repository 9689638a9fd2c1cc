package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"math/big"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// checkKey refuses public keys with which somebody other than the key's owner could sign, or which are made to cost
// much (attack G81), and tells the algorithm. The library has refused duplicate map keys, trailing bytes, points off
// their curve and curves that do not belong to the algorithm; what it leaves is here.
func checkKey(cose []byte) (alg int64, ok bool) {
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return 0, false
	}
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		return k.Algorithm, checkEC2(k)
	case webauthncose.RSAPublicKeyData:
		return k.Algorithm, k.Algorithm == RS256 && checkRSA(k)
	case webauthncose.OKPPublicKeyData:
		return k.Algorithm, k.Algorithm == EdDSA && !smallOrder(k.XCoord)
	}
	return 0, false
}

func checkEC2(k webauthncose.EC2PublicKeyData) bool {
	curves := map[int64]elliptic.Curve{ES256: elliptic.P256(), ES384: elliptic.P384(), ES512: elliptic.P521()}
	curve, ok := curves[k.Algorithm]
	if !ok || k.Curve == 0 {
		return false
	}
	_, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, k.XCoord, k.YCoord))
	return err == nil
}

// checkRSA allows 2048 to 4096 bits and odd exponents from 65537: an exponent of one signs nothing, and verifying with
// a modulus of 16384 bits costs as much as hundreds of ordinary checks.
func checkRSA(k webauthncose.RSAPublicKeyData) bool {
	n := new(big.Int).SetBytes(k.Modulus)
	if n.BitLen() < 2048 || n.BitLen() > 4096 || n.Bit(0) == 0 {
		return false
	}
	e, err := webauthncose.ParseRSAPublicKeyDataExponent(&k)
	return err == nil && e >= 65537 && e < 1<<31 && e%2 == 1
}

// smallOrder reports whether an Ed25519 public key is one of the points of order 1, 2, 4 or 8, in any encoding, with
// which one signature fits many messages (RFC 8032 section 5.1.7 does not exclude them; libsodium and others do).
func smallOrder(x []byte) bool {
	if len(x) != 32 {
		return true
	}
	// y little-endian without the sign bit of x.
	y := make([]byte, 32)
	for i := range x {
		y[31-i] = x[i]
	}
	y[0] &= 0x7f
	v := new(big.Int).Mod(new(big.Int).SetBytes(y), edP)
	minusOne := new(big.Int).Sub(edP, big.NewInt(1))
	// y = 1 has order 1, y = -1 order 2, y = 0 order 4, and the two roots below (and their negatives) order 8.
	for _, bad := range []*big.Int{big.NewInt(0), big.NewInt(1), minusOne, edOrder8, new(big.Int).Sub(edP, edOrder8)} {
		if v.Cmp(bad) == 0 {
			return true
		}
	}
	return false
}

// edP is 2^255 - 19, and edOrder8 the y coordinate of a point of order 8 on edwards25519. Neither is ever changed.
var (
	edP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

	edOrder8, _ = new(big.Int).SetString("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)
)
