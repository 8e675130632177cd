// Who may change things from this page, and what is about to be changed.
import { ApiError, get, path, storeToken, storedToken } from "./api";
import { Store } from "./store";

export const token = new Store<string>(storedToken());

/** Which sessions: as `weir kill` takes it. */
export interface Which {
  ids?: string[];
  pool?: string;
  backend?: string;
  client?: string;
}

export type Action =
  | { kind: "token"; then?: Action }
  | { kind: "drain" | "enable" | "weight"; pool: string; backend: string }
  | { kind: "kill"; which: Which; count: number; what: string };

export const action = new Store<Action | null>(null);
/** What has just been done, for the eye and for screen readers. */
export const said = new Store<string>("");

let clearing = 0;
export function say(text: string): void {
  said.set(text);
  clearTimeout(clearing);
  clearing = window.setTimeout(() => said.set(""), 12_000);
}

/** Asks for the token first when there is none. */
export function begin(wanted: Action): void {
  action.set(token.get() || wanted.kind === "token" ? wanted : { kind: "token", then: wanted });
}

/** The daemon's word on it; nothing when it takes it. */
export async function tryToken(text: string): Promise<string> {
  try {
    await get(path("sessions"), { limit: 1 }, text);
  } catch (error) {
    return error instanceof ApiError ? error.message : String(error);
  }
  storeToken(text);
  token.set(text);
  return "";
}

export function forgetToken(): void {
  storeToken("");
  token.set("");
}

/** Of a change that was refused: another token is to be asked for. */
export function reasonOf(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.status === 401) forgetToken();
    return error.message;
  }
  return String(error);
}
