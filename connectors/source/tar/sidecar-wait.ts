import type { Account } from "../account.js";
import type { BytePath } from "../byte-path.js";
import { NO_RIGHTS, sidecarStems, type Rights } from "../sidecar.js";
import type { MemberHeader } from "./tar-members.js";

/** An image of a shard, in its place in the stream. */
export interface FoundImage {
  readonly member: MemberHeader;
  /** null where they are read later, or not at all */
  readonly bytes: Uint8Array | null;
  /** Of the shard's images, from 1 */
  readonly index: number;
}

/** Images and sidecars stand beside each other in most shards, and in the folder's order of names in some: this many may lie between. */
const MOST_IMAGES = 1024;
const MOST_SIDECARS = 4096;
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * Images on their way through, which wait for their own sidecar while it may still come. They leave in the order in which they came.
 * A sidecar that comes too late for its image, or has none, is counted: it never goes to another.
 */
export class SidecarWait {
  readonly #account: Account;
  readonly #waiting: (FoundImage & { readonly stems: readonly BytePath[]; rights: Rights | null })[] = [];
  #bytes = 0;
  /** By stem, those that were read and may have an image to come */
  readonly #rights = new Map<BytePath, { readonly name: string; readonly rights: Rights; isUsed: boolean }>();

  constructor(account: Account) {
    this.#account = account;
  }

  addImage(image: FoundImage): void {
    const stems = sidecarStems(image.member.name);
    let rights: Rights | null = null;
    for (const stem of stems) {
      const found = this.#rights.get(stem);
      if (found === undefined) continue;
      rights ??= found.rights;
      this.#use(found);
    }
    this.#waiting.push({ ...image, stems, rights });
    this.#bytes += image.bytes?.length ?? 0;
  }

  addSidecar(stem: BytePath, name: string, rights: Rights): void {
    const found = { name, rights, isUsed: false };
    for (const image of this.#waiting) {
      if (!image.stems.includes(stem)) continue;
      image.rights ??= rights;
      this.#use(found);
    }
    this.#forget(stem);
    this.#rights.set(stem, found);
    for (const oldest of this.#rights.keys()) {
      if (this.#rights.size <= MOST_SIDECARS) break;
      this.#forget(oldest);
    }
  }

  /** Images that wait for nothing more. */
  *ready(): Generator<FoundImage & { readonly rights: Rights }> {
    while (this.#waiting.length > 0) {
      const isFull = this.#waiting.length > MOST_IMAGES || this.#bytes > MOST_BYTES;
      if (this.#waiting[0]!.rights === null && !isFull) return;
      yield this.#leave();
    }
  }

  /** All that wait: the shard has no more. */
  *rest(): Generator<FoundImage & { readonly rights: Rights }> {
    while (this.#waiting.length > 0) yield this.#leave();
    for (const stem of [...this.#rights.keys()]) this.#forget(stem);
  }

  #leave(): FoundImage & { readonly rights: Rights } {
    const image = this.#waiting.shift()!;
    this.#bytes -= image.bytes?.length ?? 0;
    return { ...image, rights: image.rights ?? NO_RIGHTS };
  }

  #use(found: { readonly name: string; isUsed: boolean }): void {
    if (!found.isUsed) this.#account.passOver("sidecar", found.name);
    found.isUsed = true;
  }

  #forget(stem: BytePath): void {
    const found = this.#rights.get(stem);
    if (found !== undefined && !found.isUsed) this.#account.passOver("loneSidecar", found.name);
    this.#rights.delete(stem);
  }
}
