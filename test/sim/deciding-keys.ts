/** What an object decides whose key matches: each is created only if absent. */
const NUMBERED: readonly (readonly [kind: string, key: RegExp])[] = [
  ["claim", /^scores\/[^/]+\/[^/]+\/claims\/\d+\.json$/],
  ["loss", /^scores\/[^/]+\/[^/]+\/lost\/\d+\.json$/],
  ["label", /^labels\//],
  // Where the members of packs lie
  ["generation", /^packs\/.*\/index\/\d+-\d+\.json$/],
  ["manifest", /^versions\/[^/]+\/\d+\/manifest\.json$/],
  ["redaction", /^versions\/[^/]+\/\d+\/redactions\//],
  ["declaration", /^(datasets|streams|logs|relocations)\//],
];
const RUN_INDEX = /^runs\/.*\/index\/\d+-\d+\.jsonl$/;
/** What others take over in time, and is deleted then */
const FOR_A_WHILE: readonly (readonly [kind: string, key: RegExp])[] = [
  ["segment", /^scores\/.*\.arrow$/],
  ["run", RUN_INDEX],
  ["attempt", /^versions\/[^/]+\/data\/[^/]+\/claim-\d+$/],
  ["checkpoint", /^checkpoints\/.*\/at\//],
];

/** What is decided by what is written at a key: the calls at which dying or standing still does most harm. null: nothing. */
export function decisionOf(key: string): string | null {
  return [...NUMBERED, ...FOR_A_WHILE].find(([, one]) => one.test(key))?.[0] ?? null;
}

/** Whether what is at a key is never deleted. */
export function staysForEver(key: string): boolean {
  return isWrittenOnce(key) || RUN_INDEX.test(key);
}

/** Whether what is at a key never changes. Of a run's index the body may go. */
export function isWrittenOnce(key: string): boolean {
  return NUMBERED.some(([, one]) => one.test(key));
}
