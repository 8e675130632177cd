// What the daemon says by itself: its status each second, and what happens. While nobody looks at the page, nothing is
// asked: browsers allow few connections to one address.
import { type Status, type WeirEvent, get, path } from "./api";
import { Store } from "./store";

export interface Link {
  state: "connecting" | "live" | "gone";
  since: number; // ms
}

export const status = new Store<Status | null>(null);
export const link = new Store<Link>({ state: "connecting", since: Date.now() });
/** The newest first. */
export const events = new Store<WeirEvent[]>([]);

const kMostEvents = 2000;
const kSilence = 6000; // ms without a status, which is due each second
const kLongestPause = 5000; // ms between two attempts
/** A stream that ends may only go on in another process, after an upgrade: it is said to be gone after so long, ms. */
const kGrace = 1500;

/** When the last status came, and when one was last asked for, ms. */
let heard = Date.now();
let asked = 0;

function say(state: Link["state"]): void {
  if (link.get().state !== state) link.set({ state, since: state === "gone" ? heard : Date.now() });
}

const key = (event: WeirEvent) => [event.kind, event.pool, event.backend, event.text, event.by].join("\n");
/** What repeats within a second is the same event with another time and count. */
const kTogether = 1000;

function merge(fresh: WeirEvent[]): void {
  const all = [...events.get()];
  for (const event of fresh) {
    const time = Date.parse(event.time);
    const same = all.findIndex(
      (old, i) => i < 50 && key(old) === key(event) && time - Date.parse(old.time) <= kTogether,
    );
    if (same >= 0 && Date.parse(all[same]!.time) > time) continue;
    if (same >= 0) all.splice(same, 1);
    all.unshift(event);
  }
  all.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
  events.set(all.slice(0, kMostEvents));
}

async function readEvents(): Promise<void> {
  const { events: list } = await get<{ events: WeirEvent[] }>(path("events"), { limit: kMostEvents });
  events.set(list.reverse());
}

class Follower {
  private source: EventSource | null = null;
  private timer = 0;
  private pause = 500;

  constructor(
    private readonly url: string,
    private readonly take: (data: string) => void,
    private readonly opened: () => void,
    private readonly lost: () => void,
  ) {}

  open(): void {
    this.close();
    const source = new EventSource(this.url);
    this.source = source;
    source.onopen = () => this.opened();
    const heard = (message: MessageEvent<string>) => {
      this.pause = 500;
      this.take(message.data);
    };
    source.onmessage = heard;
    for (const name of ["status", "event"]) source.addEventListener(name, heard as EventListener);
    source.onerror = () => this.retry();
  }
  retry(): void {
    this.close();
    this.lost();
    this.timer = window.setTimeout(() => this.open(), this.pause);
    this.pause = Math.min(2 * this.pause, kLongestPause);
  }
  close(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
}

const statusFollower = new Follower(
  "/v1/live",
  (data) => {
    try {
      status.set(JSON.parse(data) as Status);
    } catch {
      return;
    }
    heard = Date.now();
    say("live");
  },
  () => undefined,
  () =>
    void setTimeout(() => {
      if (Date.now() - heard >= kGrace && !document.hidden) say("gone");
    }, kGrace),
);

const eventFollower = new Follower(
  "/v1/events?follow=1",
  (data) => {
    try {
      const event = JSON.parse(data) as WeirEvent;
      if (event.kind) merge([event]);
    } catch {
      // A note, not an event.
    }
  },
  // What has happened while nobody listened.
  () => void readEvents().catch(() => undefined),
  () => undefined,
);

function open(): void {
  asked = Date.now();
  statusFollower.open();
  eventFollower.open();
}

export function begin(): void {
  open();
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    statusFollower.close();
    eventFollower.close();
  });
  // A connection that is dead and does not say so.
  setInterval(() => {
    if (document.hidden || Date.now() - Math.max(heard, asked) < kSilence) return;
    asked = Date.now();
    statusFollower.retry();
    eventFollower.retry();
  }, 1000);
}
