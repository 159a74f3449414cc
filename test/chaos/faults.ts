import { setTimeout as sleep } from "node:timers/promises";
import type { LocalService } from "../../deploy/local/local-service.js";
import { below, oneOf } from "../fuzz/mutate.js";
import type { ChaosSite } from "./chaos-site.js";

/** Beyond the session timeout that the site's groups have: the stopped process has lost its partitions when it wakes */
const STOPPED_MS = 12_000;
const AWAY_MS = 2000;

export interface Fault {
  readonly name: string;
  /** How many of a hundred */
  readonly share: number;
  readonly strike: (site: ChaosSite, next: () => number) => Promise<string>;
}

async function fall(service: LocalService, hangs: boolean): Promise<void> {
  await service.kill(hangs ? "SIGSTOP" : "SIGKILL");
  await sleep(AWAY_MS);
  if (hangs) await service.kill("SIGCONT");
  else await service.restart();
}

/** What befalls a running stream. Each is over when it returns; the processes may still be at mending it. */
export const FAULTS: readonly Fault[] = [
  {
    name: "kill -9",
    share: 50,
    strike: async ({ victims }, next) => {
      const { name, process } = oneOf(next, victims);
      await process.restart();
      return name;
    },
  },
  {
    name: "kill -9 of two",
    share: 10,
    strike: async ({ victims }, next) => {
      const first = below(next, victims.length);
      const both = [victims[first]!, victims[(first + 1 + below(next, victims.length - 1)) % victims.length]!];
      await Promise.all(both.map(({ process }) => process.restart()));
      return both.map(({ name }) => name).join(", ");
    },
  },
  {
    name: "SIGSTOP beyond the session",
    share: 6,
    strike: async ({ victims }, next) => {
      const { name, process } = oneOf(next, victims);
      process.signal("SIGSTOP");
      await sleep(STOPPED_MS);
      process.signal("SIGCONT");
      return name;
    },
  },
  { name: "broker killed", share: 7, strike: ({ kafka }) => fall(kafka, false).then(() => "broker") },
  { name: "broker hangs", share: 4, strike: ({ kafka }) => fall(kafka, true).then(() => "broker") },
  { name: "store killed", share: 7, strike: ({ minio }) => fall(minio, false).then(() => "store") },
  { name: "store hangs", share: 4, strike: ({ minio }) => fall(minio, true).then(() => "store") },
  {
    name: "network to the store cut",
    share: 4,
    strike: async ({ storeProxy }) => {
      storeProxy.isCut = true;
      await sleep(AWAY_MS);
      storeProxy.isCut = false;
      return "half of the processes";
    },
  },
  {
    name: "network to the store slow",
    share: 4,
    strike: async ({ storeProxy }) => {
      storeProxy.delayMs = 300;
      await sleep(AWAY_MS);
      storeProxy.delayMs = 0;
      return "half of the processes";
    },
  },
  {
    name: "checkpoint cut short",
    share: 4,
    strike: async (site, next) => {
      const keys = await site.keysBelow("checkpoints/");
      if (keys.length === 0) return "there is none yet";
      const key = oneOf(next, keys);
      const bytes = await site.store.get(key);
      await site.store.put(key, bytes.subarray(0, below(next, bytes.length)));
      return key;
    },
  },
];

export function drawFault(next: () => number): Fault {
  const total = FAULTS.reduce((sum, { share }) => sum + share, 0);
  let left = next() * total;
  return FAULTS.find(({ share }) => (left -= share) < 0) ?? FAULTS[0]!;
}
