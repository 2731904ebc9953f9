// Requests to the server: one function to read, one to act, one to download.
import { observable } from "./observable.js";
import { refuseToken, session } from "./session.js";

/** Whether the server answers: {lost: false} or {lost: true, since: milliseconds}. */
export const connection = observable({ lost: false, since: 0 });

/** What the server says about itself: /api/server, or null until it answered. */
export const server = observable(null);

const KEPT_ANSWERS = 80;
const TIMEOUT = 20_000;

const answers = new Map(); // address -> {tag, data}: a 304 has no body, so the last one is kept here

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status; // 0: no answer
  }
}

/** Write an address: values that are null, undefined or "" are left out, lists are repeated. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && item !== undefined && item !== "") query.append(name, item);
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export const runPath = (id) => `/api/runs/${encodeURIComponent(id)}`;

/**
 * Read an address. The same object comes back as long as nothing changed.
 *
 * `isFresh` asks without a tag: an answer with a ticket for one use must not come back.
 */
export async function get(path, signal, { isFresh = false } = {}) {
  const known = isFresh ? null : answers.get(path);
  const response = await ask(path, { headers: known ? { "If-None-Match": known.tag } : {}, signal });
  if (response.status === 304 && known) {
    keep(path, known);
    return known.data;
  }
  const data = await readJson(response);
  const tag = response.headers.get("ETag");
  if (tag && !isFresh) keep(path, { tag, data });
  return data;
}

export async function post(path, body = {}) {
  const response = await ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return readJson(response);
}

/** Let the browser download the thing that a ticket names: {kind: "file" | "log" | "trace", ...}. */
export async function download(ticket) {
  const { url } = await post("/api/tickets", ticket);
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  document.body.append(link);
  link.click();
  link.remove();
}

async function ask(path, options) {
  const { token } = session.get();
  const timeout = AbortSignal.timeout(TIMEOUT);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  let response;
  try {
    response = await fetch(path, {
      ...options,
      signal,
      cache: "no-store",
      headers: { ...options.headers, Authorization: `Bearer ${token}` },
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (!connection.get().lost) connection.set({ lost: true, since: Date.now() });
    throw new ApiError("The server does not answer.", 0);
  }
  connection.get().lost && connection.set({ lost: false, since: 0 });
  if (response.status === 401) refuseToken(token);
  return response;
}

async function readJson(response) {
  const data = await response.json().catch(() => null);
  if (response.ok && data !== null) return data;
  throw new ApiError(data?.error ?? `The server answered with status ${response.status}.`, response.status);
}

function keep(path, answer) {
  answers.delete(path);
  answers.set(path, answer);
  if (answers.size > KEPT_ANSWERS) answers.delete(answers.keys().next().value);
}
