// A relying party written with openid-client. It talks to its driver in lines of JSON:
//   it says {"visit": URL} and is told the address at which the browser came back, and at the end says {"learned": …}.
// Its settings are one JSON object in the first argument: issuer, client_id, redirect_uri, other (a confidential client).
import * as client from 'openid-client'
import { createInterface } from 'node:readline'

const set = JSON.parse(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
const visit = async (url) => {
  say({ visit: url.href })
  return new URL((await lines.next()).value)
}
// Plain http is for the demonstration on this machine alone.
const local = { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] }

const config = await client.discovery(new URL(set.issuer), set.client_id, undefined, client.None(), local)
const learned = { issuer: config.serverMetadata().issuer }

async function signIn(more) {
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: set.redirect_uri, scope: 'openid profile', state, nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
  })
  const back = await visit(url)
  return client.authorizationCodeGrant(config, back, {
    pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true,
  })
}

const first = await signIn({})
learned.claims = first.claims()
learned.expires = first.expiresIn()
learned.info = await client.fetchUserInfo(config, first.access_token, first.claims().sub)

const silent = await signIn({ prompt: 'none', max_age: '3600' })
learned.silent = silent.claims()

// Reading somebody else's token by introspection tells nothing.
const other = await client.discovery(new URL(set.issuer), set.other.client_id, undefined, client.ClientSecretBasic(set.other.client_secret), local)
learned.introspected = await client.tokenIntrospection(other, first.access_token)

await client.tokenRevocation(config, first.access_token)
learned.revoked = await client.fetchUserInfo(config, first.access_token, first.claims().sub).then(() => 'still good', (e) => e.cause?.[0]?.parameters?.error ?? e.code ?? String(e))

await visit(client.buildEndSessionUrl(config, { id_token_hint: silent.id_token }))
learned.afterwards = await signIn({ prompt: 'none' }).then(() => 'signed in', (e) => e.error ?? String(e))
say({ learned })
process.exit(0)
