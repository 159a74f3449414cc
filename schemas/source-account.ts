import { countText } from "./counted.js";

/** Why something that a source has is no image of the run, with the words for people: of one and of many where they differ. */
export const PASSED_OVER = {
  hidden: "with a hidden name (it begins with a dot)",
  excluded: "left out by --include",
  sidecar: ["that goes with images (.json, .txt …)", "that go with images (.json, .txt …)"],
  loneSidecar: ["that tells the rights of no image near it", "that tell the rights of no image near them"],
  besideShards: "beside tar shards, which alone are read",
  shard: ["tar shard, not read as an image", "tar shards, not read as images"],
  link: ["link, not followed", "links, not followed"],
  brokenLink: ["link that leads nowhere", "links that lead nowhere"],
  loop: ["link back to a folder that it lies in", "links back to a folder that they lie in"],
  outside: ["link that leads out of --links-within", "links that lead out of --links-within"],
  special: ["pipe, socket or device", "pipes, sockets or devices"],
  ownFolder: ["data folder of Sluice", "data folders of Sluice"],
  store: "of the store itself",
  folderMark: ["empty object that stands for a folder", "empty objects that stand for folders"],
  notFile: ["member that is no file", "members that are no files"],
  removed: ["notice that an object was removed", "notices that objects were removed"],
  elsewhere: ["notice of an object in another place", "notices of objects in other places"],
  otherNotice: ["notice of something else", "notices of something else"],
  testNotice: ["message that tries the way", "messages that try the way"],
  refused: ["refused, with its reason", "refused, each with its reason"],
} as const satisfies Record<string, string | readonly [string, string]>;

export type PassedOverReason = keyof typeof PASSED_OVER;

/** "1 link, not followed", "2 links, not followed" */
export function passedOverText(reason: PassedOverReason, count: number): string {
  const words: string | readonly [string, string] = PASSED_OVER[reason];
  return `${countText(count)} ${typeof words === "string" ? words : words[count === 1 ? 0 : 1]}`;
}

export interface PassedOver {
  readonly count: number;
  /** One of them, for people */
  readonly first: string;
  /** Of those left out by --include: how many have which extension ("" for none), as it is written */
  readonly extensions?: Readonly<Record<string, number>>;
}

/**
 * What a source had in its last pass, and what became of it: given = taken + known + all that was passed over. A folder, shard or object
 * counts as one thing where it is passed over, or was known, as a whole.
 */
export interface SourceAccount {
  readonly given: number;
  /** Put into the stream by this run */
  readonly taken: number;
  /** Taken before, and unchanged since */
  readonly known: number;
  readonly passedOver: Readonly<Partial<Record<PassedOverReason, PassedOver>>>;
}
