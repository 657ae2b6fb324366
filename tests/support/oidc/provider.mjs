// A certified OpenID provider as the judge of our sign-in: node provider.mjs PORT REDIRECT SIGNED_OUT.
// Whoever signs in as name:organisation:role+role:person gets that in the access token, a JWT for the API "stafett".
import { Provider } from "oidc-provider";

const [port, redirect, signedOut] = process.argv.slice(2);
const API = "urn:stafett:api";
const issuer = `http://127.0.0.1:${port}`;

const person = (id) => {
  const [name, organisation, roles, person] = id.split(":");
  return { name, organisation, person, roles: roles ? roles.split("+") : [] };
};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "stafett-portal",
      client_secret: "a-secret-of-the-test",
      redirect_uris: [redirect],
      post_logout_redirect_uris: [signedOut],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    },
  ],
  pkce: { methods: ["S256"], required: () => true },
  claims: { openid: ["sub"], profile: ["name"] },
  conformIdTokenClaims: false,
  findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, name: person(id).name }) }),
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: 61, IdToken: 300, AuthorizationCode: 60, Session: 600, Interaction: 600, Grant: 600, RefreshToken: 600 },
  extraTokenClaims: async (_ctx, token) => {
    const { name: _, ...claims } = person(token.accountId);
    return claims;
  },
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: async () => API,
      useGrantedResource: async () => true,
      getResourceServerInfo: async () => ({ scope: "", audience: "stafett", accessTokenFormat: "jwt", accessTokenTTL: 61 }),
    },
  },
  cookies: { keys: ["a", "b"] },
});

provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
