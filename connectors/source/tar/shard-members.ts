import type { BytePath } from "../byte-path.js";
import type { AskedImage } from "../source.js";
import type { MemberHeader } from "./tar-members.js";

/** What the part of a uri behind the shard names: a member by its name and by where its bytes begin in the unpacked shard. */
export interface MemberPlace {
  readonly name: BytePath;
  /** null of uris that others wrote: the first of that name */
  readonly offset: number | null;
}

/** A member that is asked for, by its place among those of all shards. */
export interface AskedMember extends AskedImage {
  readonly at: number;
  readonly place: MemberPlace;
}

/** A link that leads from link to link more often than this leads nowhere. */
const MOST_LINKS = 40;

/** The members of one shard, by their names. */
export class ShardMembers {
  readonly #members: MemberHeader[] = [];
  /** Places in `#members`, by plain name */
  readonly #byName = new Map<BytePath, number[]>();

  add(member: MemberHeader): void {
    const name = plainName(member.name);
    const places = this.#byName.get(name);
    if (places === undefined) this.#byName.set(name, [this.#members.length]);
    else places.push(this.#members.length);
    this.#members.push(member);
  }

  find({ name, offset }: MemberPlace): MemberHeader | null {
    const places = this.#byName.get(plainName(name)) ?? [];
    // In a shard that was made again members lie elsewhere: a name that stands once tells enough.
    const isByName = offset === null || places.length === 1;
    const place =
      places.find((at) => this.#members[at]!.offset === offset) ??
      (isByName ? places.find((at) => this.#members[at]!.name === name) : undefined);
    return place === undefined ? null : this.#members[place]!;
  }

  /**
   * The file that a link stands for, as unpacking the whole shard would have it: a hard link is the newest file of that name
   * before it, a symbolic link the newest of all. null where it leads to none in the shard.
   */
  fileBehind(link: MemberHeader): MemberHeader | null {
    let member = link;
    for (let followed = 0; followed < MOST_LINKS; followed++) {
      if (member.kind === "file") return member;
      if (member.kind === "folder" || member.kind === "other") return null;
      const isHard = member.kind === "hard link";
      const target = isHard ? plainName(member.target) : targetOf(member);
      if (target === null) return null;
      const places = this.#byName.get(target) ?? [];
      const own = this.#members.indexOf(member);
      const place = places.findLast((at) => (isHard ? at < own : at !== own));
      if (place === undefined) return null;
      member = this.#members[place]!;
    }
    return null;
  }
}

/** A name without what makes no difference: `./a//b/` and `a/b` are one. */
function plainName(name: BytePath): BytePath {
  return name
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

/** The plain name that a symbolic link leads to; null where that is out of the shard. */
function targetOf({ name, target }: MemberHeader): BytePath | null {
  if (target.startsWith("/")) return null;
  const parts = plainName(name).split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return null;
  }
  return parts.join("/");
}
