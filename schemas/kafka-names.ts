/** What each topic beside the images topic is for. */
export const TOPIC_ROLES = [
  "candidates",
  "thresholds",
  "labels",
  "versions",
  "quarantine",
  "store",
  "cursors",
] as const;
export type TopicRole = (typeof TOPIC_ROLES)[number];

/** What a group's members do. */
export type GroupRole = "score" | "replay" | "topk" | "publish" | "labels" | "watch";

/** Groups of the stream itself, whatever teachers it has */
export const STREAM_GROUPS = ["labels", "watch"] as const satisfies readonly GroupRole[];
type StreamGroup = (typeof STREAM_GROUPS)[number];

export const DEFAULT_PREFIX = "sluice-";

/** Where a process is at work: all that tells its groups from those of other streams on the same cluster. */
export interface GroupPlace {
  readonly stream: string;
  /** Without a cluster nobody else can be met. */
  readonly kafka?: { readonly prefix: string } | undefined;
}

export function topicName(prefix: string, stream: string, role: TopicRole | "events"): string {
  return `${prefix}${stream}-${role}`;
}

/** What the names of a stream's groups of one role begin with. */
export function groupPrefix({ stream, kafka }: GroupPlace, role: GroupRole): string {
  return `${kafka?.prefix ?? DEFAULT_PREFIX}${stream}-${role}`;
}

/** A teacher's group */
export function groupName(place: GroupPlace, role: Exclude<GroupRole, StreamGroup>, teacher: string): string {
  return `${groupPrefix(place, role)}-${teacher.slice(0, 16)}`;
}
