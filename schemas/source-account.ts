/** Why something that a source has is no image of the run, with the words for people. */
export const PASSED_OVER = {
  hidden: "with a hidden name (it begins with a dot)",
  excluded: "left out by --include",
  sidecar: "that go with images (.json, .txt …)",
  loneSidecar: "that tell the rights of no image near them",
  besideShards: "beside tar shards, which alone are read",
  shard: "tar shards, not read as images",
  link: "links, not followed",
  brokenLink: "links that lead nowhere",
  loop: "links back to a folder that they lie in",
  outside: "links that lead out of --links-within",
  special: "pipes, sockets or devices",
  ownFolder: "data folders of Sluice",
  store: "of the store itself",
  folderMark: "empty objects that stand for folders",
  notFile: "members that are no files",
} as const;

export type PassedOverReason = keyof typeof PASSED_OVER;

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
