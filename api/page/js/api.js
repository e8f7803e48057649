// Requests to /v1, with the token, and errors that say what to do.

import * as session from "./session.js";

/** @typedef {import("./night.js").Epoch} Epoch */
/** @typedef {import("./night.js").Staged} Staged */

/** What the server refused; `status` as in HTTP, 0 where it could not be reached. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const MOST_PAGES = 20;
const MOST_NIGHTS = 400;

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} whose status is good, or 304; throws ApiError
 */
export async function request(path, options = {}) {
  let reply;
  try {
    const token = await session.token();
    if (!token) throw new ApiError(401, "Your session has ended. Sign in again.");
    const headers = { ...options.headers, Authorization: `Bearer ${token}` };
    reply = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error instanceof ApiError || /** @type {any} */ (error)?.name === "AbortError") throw error;
    throw new ApiError(0, "Noctis cannot be reached from here.");
  }
  if (reply.ok || reply.status === 304) return reply;
  const problem = await reply.json().catch(() => ({}));
  if (reply.status === 401) session.forget();
  throw new ApiError(reply.status, problem.detail ?? problem.title ?? `HTTP ${reply.status}`);
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
export async function get(path, options) {
  return (await request(path, options)).json();
}

/**
 * @param {string} path
 * @param {string} what the member that lists
 * @param {Record<string, string | number>} [query]
 * @param {number} [most] pages
 * @returns {Promise<any[]>} all pages, up to a bound
 */
export async function list(path, what, query = {}, most = MOST_PAGES) {
  const found = [];
  let token = null;
  for (let page = 0; page < most; page += 1) {
    const asked = new URLSearchParams({ ...query, ...(token && { page_token: token }) });
    const answer = await get(`${path}?${asked}`);
    found.push(...answer[what]);
    token = answer.next_page_token;
    if (!token) break;
  }
  return found;
}

export const devices = () => list("/v1/devices", "devices");

/**
 * @param {string} device
 * @param {number} [size]
 */
export function nights(device, size = 60) {
  const query = { ...(device && { device }), page_size: size };
  return list("/v1/recordings", "recordings", query, 1);
}

/**
 * @param {string} device
 * @param {string} [known] the ETag of before
 * @returns {Promise<{nights: any[], etag: string} | null>} null: they are as they were
 */
export async function changedNights(device, known = "") {
  const query = new URLSearchParams({ device, page_size: String(MOST_NIGHTS) });
  const headers = known ? { "If-None-Match": known } : undefined;
  const reply = await request(`/v1/recordings?${query}`, { headers });
  if (reply.status === 304) return null;
  return { nights: (await reply.json()).recordings, etag: reply.headers.get("ETag") ?? "" };
}

/**
 * @param {string} id
 * @param {string} [known] the ETag of before
 * @returns {Promise<any>} `recording` and `etag`; null: it is as it was
 */
export async function changedNight(id, known = "") {
  const headers = known ? { "If-None-Match": known } : undefined;
  const reply = await request(`/v1/recordings/${encodeURIComponent(id)}`, { headers });
  if (reply.status === 304) return null;
  return { recording: await reply.json(), etag: reply.headers.get("ETag") ?? "" };
}

/** @param {string} id */
export const hypnogram = (id) => get(`/v1/recordings/${encodeURIComponent(id)}/hypnogram`);

/**
 * @param {string} device
 * @param {number} since unix seconds
 * @param {number} [until]
 * @returns {Promise<Epoch[]>}
 */
export const epochs = (device, since, until) => span(device, "epochs", since, until);

/**
 * @param {string} device
 * @param {number} since unix seconds
 * @param {number} [until]
 * @returns {Promise<Staged[]>}
 */
export const predictions = (device, since, until) => span(device, "predictions", since, until);

/**
 * @param {string} device
 * @param {string} what
 * @param {number} since
 * @param {number} [until]
 */
function span(device, what, since, until) {
  const path = `/v1/devices/${encodeURIComponent(device)}/${what}`;
  const query = { since: iso(since), ...(until && { until: iso(until) }), page_size: 1000 };
  return list(path, what, query);
}

/** @param {number} moment unix seconds */
function iso(moment) {
  return new Date(moment * 1000).toISOString();
}
