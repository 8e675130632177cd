// What the daemon is asked, and what it answers (conf/doc/admin-api.md).

export type Admin = "enabled" | "drained" | "disabled";
export type Health = "up" | "down" | "unknown";
export type Verdict = "unknown" | "ok" | "degraded" | "backup in use" | "down";

export interface Times {
  p50: number;
  p99: number;
}

/** What an operator has said. */
export interface Word {
  by: string;
  since: string | null;
  comment?: string;
  until?: string;
}

export interface Backend {
  name: string;
  address: string;
  weight: number;
  configured_weight: number;
  share_percent: number;
  backup: boolean;
  admin: Admin;
  admin_by: "operator" | "file";
  admin_since: string;
  health: Health;
  eligible: boolean;
  reason: string;
  since: string;
  active: number;
  max_sessions: number;
  total: number;
  sessions_per_second: number;
  bytes_to_backend_per_second: number;
  bytes_to_client_per_second: number;
  connect_ms: Times | null;
  first_byte_ms: Times | null;
  last_probe_ms: number | null;
  longest_idle_seconds: number | null;
  connect_failures: number;
  bytes_to_backend: number;
  bytes_to_client: number;
  closes_at?: string;
  agent?: { says: string; serves: boolean };
  resolved?: string[];
  admin_word?: Word;
  weight_word?: Word;
  added?: boolean;
  removed?: boolean;
}

export interface Pool {
  name: string;
  balance: string;
  connect_ms: Times | null;
  first_byte_ms: Times | null;
  removed?: boolean;
  verdict?: Verdict;
  verdict_since?: string;
  up?: string;
  queued?: number;
  queue?: number;
  overloaded?: number;
  backends: Backend[];
}

export interface Listener {
  name: string;
  bind: string[];
  pool: string;
  max_connections: number;
  active: number;
  total: number;
  turned_away: Record<string, number>;
}

export interface Status {
  version: string;
  pid: number;
  generation: number;
  uptime_seconds: number;
  workers: number;
  problems: string[];
  last_reload: { time: string; ok: boolean; text: string; by: string } | null;
  sessions: { active: number; total: number; max: number };
  listeners: Listener[];
  pools: Pool[];
  predecessors: { pid: number; sessions?: number }[];
}

export interface WeirEvent {
  time: string;
  kind: string;
  pool: string;
  backend: string;
  text: string;
  by: string;
  changes: string[];
  count?: number;
}

export interface Session {
  id: string;
  listener: string;
  client: string;
  pool: string;
  backend: string | null;
  state: string;
  age_seconds: number;
  idle_seconds: number;
  bytes_to_backend: number;
  bytes_to_client: number;
}

export interface Explanation {
  listener?: string;
  decision?: string;
  route?: number | null;
  pool: string | null;
  client: string;
  backend: string | null;
  because: string[];
  excluded: { backend: string; reason: string }[];
}

type Column = (number | null)[];
export interface Load {
  step_seconds: number;
  active: Column;
  sessions: Column;
  connect_failures: Column;
}
export interface Steps extends Load {
  backend_resets: Column;
  probes_failed: Column;
  unserved: Column;
  bytes_to_backend: Column;
  bytes_to_client: Column;
  connect_p50_ms: Column;
  connect_p99_ms: Column;
}
export interface History {
  time: number;
  short: Steps;
  long: Steps;
  pools?: { name: string; short: Load }[];
}

export interface Changed {
  changed: { backend: string; admin: Admin; weight: number; sessions: number }[];
  warnings?: string[];
  notes?: string[];
}

/** An answer that says why not. `status` 0: there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
  get wantsToken(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

const kTokenKey = "weir-token";

export function storedToken(): string {
  try {
    return sessionStorage.getItem(kTokenKey) ?? "";
  } catch {
    return "";
  }
}
export function storeToken(token: string): void {
  try {
    if (token) sessionStorage.setItem(kTokenKey, token);
    else sessionStorage.removeItem(kTokenKey);
  } catch {
    // A browser that keeps nothing: it is asked for again.
  }
}

export type Values = Record<string, string | number | boolean | undefined>;

export function path(...segments: string[]): string {
  return "/v1/" + segments.map(encodeURIComponent).join("/");
}

function query(values: Values): string {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(values))
    if (value !== undefined && value !== "") out.set(name, String(value));
  const text = out.toString();
  return text && "?" + text;
}

async function ask<T>(method: string, url: string, token: string, body?: string): Promise<T> {
  const headers: Record<string, string> = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(url, { method, headers, body: body ?? null, cache: "no-store", redirect: "error" });
    text = await answer.text();
  } catch {
    throw new ApiError(0, "Weir does not answer.");
  }
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch {
    // Not one of the API's answers: the text is said as it is.
  }
  if (answer.ok && json !== null) return json as T;
  const error = (json as { error?: { message?: string } } | null)?.error?.message;
  throw new ApiError(answer.status, error ?? (text.trim().slice(0, 300) || `HTTP ${answer.status}`));
}

export function get<T>(url: string, values: Values = {}, token = ""): Promise<T> {
  return ask<T>("GET", url + query(values), token);
}
export function post<T>(url: string, values: Record<string, unknown>, token: string): Promise<T> {
  return ask<T>("POST", url, token, JSON.stringify(values));
}
