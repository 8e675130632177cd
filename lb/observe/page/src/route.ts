// Where in the page one is: behind the #, so that the daemon serves one file only.
import { Store } from "./store";

export interface Route {
  page: "overview" | "pool" | "backend" | "sessions" | "explain" | "events" | "nowhere";
  pool: string;
  backend: string;
  query: URLSearchParams;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const [page = "", pool = "", backend = "", more] = path.replace(/^\//, "").split("/").map(decoded);
  const out: Route = { page: "nowhere", pool, backend, query: new URLSearchParams(query) };
  if (more !== undefined) return out;
  if (page === "") out.page = "overview";
  else if (page === "pool" && pool) out.page = backend ? "backend" : "pool";
  else if ((page === "sessions" || page === "explain" || page === "events") && !pool) out.page = page;
  return out;
}

export function poolLink(pool: string): string {
  return `#/pool/${encodeURIComponent(pool)}`;
}
export function backendLink(pool: string, backend: string): string {
  return `${poolLink(pool)}/${encodeURIComponent(backend)}`;
}
export function pageLink(page: "sessions" | "explain" | "events", values: Record<string, string> = {}): string {
  const query = new URLSearchParams(values).toString();
  return `#/${page}${query && "?" + query}`;
}

export const route = new Store<Route>(parse(location.hash));
addEventListener("hashchange", () => route.set(parse(location.hash)));
