// Who is signed in. The access token is in memory alone; what gets the next one is kept for this
// tab (sessionStorage), so that a reload does not ask for the password again. docs/security.md
// says why there.

const KEPT = "noctis.session";
const AHEAD_S = 60;

/** @typedef {{login: string, refresh: string}} Kept */

/** An answer of the token endpoint that is no token. */
export class SignInError extends Error {}

/** @type {{token: string, until: number, scopes: Set<string>} | null} */
let access = null;
/** @type {Promise<boolean> | null} */
let renewing = null;

/** @returns {Kept | null} */
function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  } catch {
    return null;
  }
}

/** @returns {string} `name@tenant`, empty where nobody is signed in */
export function login() {
  return kept()?.login ?? "";
}

/** @param {string} scope */
export function may(scope) {
  return access?.scopes.has(scope) ?? false;
}

/**
 * @param {Record<string, string>} form
 * @returns {Promise<any>} what the token endpoint answers; throws SignInError, TypeError offline
 */
async function ask(form) {
  const reply = await fetch("/v1/auth/token", { method: "POST", body: new URLSearchParams(form) });
  const answer = await reply.json().catch(() => ({}));
  if (reply.ok) return answer;
  if (reply.status === 429) {
    const wait = Number(reply.headers.get("Retry-After") ?? 60);
    throw new SignInError(`Too many attempts. Try again in ${wait} seconds.`);
  }
  if (reply.status >= 500) throw new TypeError("the server cannot answer now");
  throw new SignInError(answer.error_description ?? "That did not work.");
}

/**
 * @param {string} name
 * @param {any} answer
 */
function take(name, answer) {
  access = {
    token: answer.access_token,
    until: Date.now() / 1000 + answer.expires_in,
    scopes: new Set(answer.scope.split(" ")),
  };
  sessionStorage.setItem(KEPT, JSON.stringify({ login: name, refresh: answer.refresh_token }));
}

/**
 * @param {string} name
 * @param {string} password
 */
export async function signIn(name, password) {
  try {
    take(name, await ask({ grant_type: "password", username: name, password }));
  } catch (error) {
    if (error instanceof SignInError && /login or password/.test(error.message)) {
      throw new SignInError("That name and password do not belong together.");
    }
    throw error;
  }
}

/**
 * Get the next token. Calls at one time share one request: a refresh token is good once.
 * @returns {Promise<boolean>} false where nobody is signed in (any more); throws TypeError offline
 */
export function renew() {
  renewing ??= renewed().finally(() => { renewing = null; });
  return renewing;
}

async function renewed() {
  const known = kept();
  if (!known) return false;
  try {
    take(known.login, await ask({ grant_type: "refresh_token", refresh_token: known.refresh }));
    return true;
  } catch (error) {
    if (!(error instanceof SignInError)) throw error;
    forget();
    return false;
  }
}

/** @returns {Promise<string>} a token that is good for a while; empty where nobody is signed in */
export async function token() {
  if (access && access.until - Date.now() / 1000 > AHEAD_S) return access.token;
  return (await renew()) && access ? access.token : "";
}

export function forget() {
  access = null;
  sessionStorage.removeItem(KEPT);
}

/** End the session here and at the server. */
export async function signOut() {
  const known = kept();
  forget();
  if (!known) return;
  const body = new URLSearchParams({ token: known.refresh });
  await fetch("/v1/auth/revoke", { method: "POST", body, keepalive: true }).catch(() => {});
}

/**
 * A tab that was duplicated holds a copy of a refresh token that is good once; it has to sign in
 * itself, or both would be signed out. Where the browser has no locks nothing is guarded.
 */
export async function claimTab() {
  if (!navigator.locks) return;
  const name = `noctis.tab.${sessionStorage.getItem("noctis.tab") ?? newTab()}`;
  if (!(await held(name))) {
    forget();
    await held(`noctis.tab.${newTab()}`);
  }
}

function newTab() {
  const name = crypto.randomUUID();
  sessionStorage.setItem("noctis.tab", name);
  return name;
}

/**
 * Hold a lock for as long as the document lives; a reload's own old document lets go first.
 * @param {string} name
 * @returns {Promise<boolean>}
 */
function held(name) {
  return new Promise((resolve) => {
    navigator.locks
      .request(name, { signal: AbortSignal.timeout(500) }, () => {
        resolve(true);
        return new Promise(() => {});
      })
      .catch(() => resolve(false));
  });
}
