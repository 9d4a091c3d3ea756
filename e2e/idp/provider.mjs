// A certified OpenID provider (oidc-provider) with a handful of people, for
// the end-to-end tests. Listens on 127.0.0.1:$PORT as $ISSUER and prints "ready ISSUER".
// With $APP the gateway there is a client (web).
// POST /test/rotate[?drop=1] makes new signing keys, dropping the old ones.
// POST /test/disable?client=ID takes a client away, ?user=NAME a person.
// GET /test/refreshes counts the refresh tokens that were shown.
// GET /jobs/token?claims=JSON&audience=NAME is what GitHub Actions has for its
// jobs, at $ACTIONS_ID_TOKEN_REQUEST_URL: with the bearer token "a-job" it
// answers with a token of these claims; age=SECONDS makes it older.
// Service accounts are clients with a secret, ID-secret, that get JWT access
// tokens.
import http from 'node:http';
import { Provider, errors } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';
import * as jose from 'jose';

const port = Number(process.env.PORT);
const issuer = process.env.ISSUER;

// Everybody's password is NAME-pw.
const groups = {
  alice: ['team-maintainers', 'staff'],
  bob: ['staff'],
  carol: ['other-maintainers'],
  admin: ['registry-admins', 'staff'],
};

const newKeys = () => Promise.all(['RS256', 'ES256'].map(async (alg) => {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(privateKey);
  return { ...jwk, alg, use: 'sig', kid: await jose.calculateJwkThumbprint(jwk) };
}));
let keys = await newKeys();

const publicClient = (client_id, alg) => ({
  client_id,
  token_endpoint_auth_method: 'none',
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code'],
  id_token_signed_response_alg: alg,
});

// The gateway's own client, where it signs people in itself: $APP is its address.
const app = process.env.APP;
const web = app && {
  client_id: 'web',
  client_secret: 'web-secret',
  redirect_uris: [`${app}/auth/callback`],
  post_logout_redirect_uris: [`${app}/auth/signed-out`],
  backchannel_logout_uri: `${app}/auth/back-channel-logout`,
  backchannel_logout_session_required: true,
  grant_types: ['authorization_code', 'refresh_token'],
};
const services = {
  builder: ['team-maintainers'],
  scanner: ['staff'],
  ephemeral: ['staff'],
  crowd: Array.from({ length: 50000 }, (_, i) => `group-with-a-long-name-${i}`), // in every group that there is
};
const disabled = new Set();
const leavers = new Set();

const serviceClient = (client_id) => ({
  client_id,
  client_secret: `${client_id}-secret: with ?&=% and +`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

// Hands a person's password to the gateway's client for tokens (RFC 6749 4.3),
// which the package leaves to those who still want it.
const passwordGrant = (provider) => provider.registerGrantType('password', async (ctx) => {
  const { username, password } = ctx.oidc.params;
  if (!groups[username] || password !== `${username}-pw`) {
    throw new errors.InvalidGrant('wrong user name or password');
  }
  const token = new provider.IdToken({ sub: username, preferred_username: username, groups: groups[username] }, { ctx });
  token.scope = 'openid profile groups';
  ctx.body = { access_token: 'opaque', token_type: 'Bearer', expires_in: 300, id_token: await token.issue({ use: 'idtoken' }) };
}, ['username', 'password', 'scope']);

const adapter = createMemoryAdapter(); // survives a key rotation, which makes a new Provider
const refreshes = { Granted: 0, Refused: 0, Repeated: 0 };
const shown = new Set(); // refresh tokens
const build = () => {
  const provider = new Provider(issuer, configuration());
  passwordGrant(provider);
  provider.use(async (ctx, next) => {
    await next();
    const { grant_type: grant, refresh_token: token } = ctx.oidc?.params ?? {};
    if (grant !== 'refresh_token') return;
    refreshes[ctx.status === 200 ? 'Granted' : 'Refused'] += 1;
    if (shown.has(token)) refreshes.Repeated += 1;
    shown.add(token);
  });
  return provider;
};
const configuration = () => ({
  adapter,
  jwks: { keys },
  cookies: { keys: ['shared-by-nobody'] },
  clients: [publicClient('registry', 'RS256'), publicClient('registry-es256', 'ES256'), publicClient('other', 'RS256'), ...(web ? [web] : []), {
    ...serviceClient('gateway'), grant_types: ['password'],
  }, ...Object.keys(services).filter((id) => !disabled.has(id)).map(serviceClient)],
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
  // The library calls no loopback address unless its dispatcher is taken out.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  rotateRefreshToken: true, // each is good once
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  extraTokenClaims: (_ctx, token) => services[token.clientId] && { groups: services[token.clientId] },
  scopes: ['openid', 'profile', 'groups'],
  claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
  conformIdTokenClaims: false, // groups belong into the ID token, as most providers have it
  pkce: { required: () => true },
  ttl: { IdToken: 900, Session: 900, Grant: 900, Interaction: 600, AccessToken: 300, ClientCredentials: 300 },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => (ctx.oidc.params?.grant_type === 'client_credentials' ? 'urn:registry' : undefined),
      getResourceServerInfo: () => ({ scope: 'registry', audience: 'registry-api', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }),
    },
  },
  interactions: { url: (_ctx, i) => `/interaction/${i.uid}` },
  findAccount: (_ctx, id) => (!groups[id] || leavers.has(id) ? undefined : {
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, groups: groups[id] }),
  }),
  loadExistingGrant: async (ctx) => { // nobody is asked for consent
    const { client, session, provider } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope([...ctx.oidc.requestParamScopes].join(' '));
    await grant.save();
    return grant;
  },
});
let provider = build();

// Signs a token as a CI platform does.
const jobToken = async (url, req, res) => {
  if (req.headers.authorization?.toLowerCase() !== 'bearer a-job') {
    res.writeHead(401);
    return res.end();
  }
  const { audience, age, claims } = Object.fromEntries(url.searchParams);
  const issued = Math.floor(Date.now() / 1000) - Number(age ?? 0);
  const value = await new jose.SignJWT({ ...JSON.parse(claims), aud: audience, iss: issuer, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: keys[0].alg, kid: keys[0].kid, typ: 'JWT' })
    .setIssuedAt(issued).setExpirationTime(issued + 300).sign(await jose.importJWK(keys[0]));
  res.setHeader('content-type', 'application/json');
  return res.end(JSON.stringify({ count: value.length, value }));
};

const text = async (req) => { let s = ''; for await (const chunk of req) s += chunk; return s; };

const interaction = async (req, res) => {
  const { prompt } = await provider.interactionDetails(req, res);
  if (prompt.name === 'consent') { // asked for native clients, whatever loadExistingGrant says
    return provider.interactionFinished(req, res, { consent: {} }, { mergeWithLastSubmission: true });
  }
  if (req.method === 'POST') {
    const form = new URLSearchParams(await text(req));
    const name = form.get('username');
    if (groups[name] && form.get('password') === `${name}-pw`) {
      return provider.interactionFinished(req, res, { login: { accountId: name } }, { mergeWithLastSubmission: false });
    }
    res.writeHead(401);
    return res.end('wrong user name or password');
  }
  res.writeHead(200, { 'content-type': 'text/html' });
  return res.end('<form method=post><input name=username id=username><input name=password id=password type=password><button id=signin>Sign in</button></form>');
};

const server = http.createServer(async (req, res) => {
  try {
    const url = new URL(req.url, issuer);
    if (url.pathname === '/test/rotate') {
      const fresh = await newKeys();
      keys = url.searchParams.has('drop') ? fresh : [...fresh, ...keys];
      provider = build();
      res.end('rotated');
    } else if (url.pathname === '/test/disable') {
      if (url.searchParams.has('user')) leavers.add(url.searchParams.get('user'));
      else disabled.add(url.searchParams.get('client'));
      provider = build();
      res.end('disabled');
    } else if (url.pathname === '/test/refreshes') {
      res.end(JSON.stringify(refreshes));
    } else if (url.pathname === '/jobs/token') {
      await jobToken(url, req, res);
    } else if (url.pathname.startsWith('/interaction/')) {
      await interaction(req, res);
    } else {
      await provider.callback()(req, res);
    }
  } catch (e) {
    console.error(e);
    if (!res.headersSent) res.writeHead(500);
    res.end();
  }
});
server.listen(port, '127.0.0.1', () => console.log(`ready ${issuer}`));
process.on('SIGTERM', () => { server.close(); server.closeAllConnections(); });
