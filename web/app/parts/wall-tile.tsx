import type { WallRow } from "../../../schemas/api/whatif.ts";
import { probabilityText } from "../wording.ts";
import { Picture } from "./picture.tsx";

interface TileProps {
  /** Its number among those that are shown */
  readonly at: number;
  /** undefined: it comes */
  readonly one: WallRow | undefined;
  readonly isOutside: boolean;
  readonly isFocus: boolean;
  /** px */
  readonly side: number;
  readonly left: number;
  readonly top: number;
  readonly focus: () => void;
  readonly look: () => void;
}

/** An image on a wall, with what is to be known of it: who placed it, what it is like. */
export function WallTile({ at, one, isOutside, isFocus, side, left, top, focus, look }: TileProps) {
  const rank = (one?.place ?? at) + 1;
  const isEntering = one !== undefined && one.versionRank === null && !isOutside && one.leftOut === null;
  const marks = one === undefined ? [] : marksOf(one);
  const spoken =
    one === undefined ? "coming" : [probabilityText(one.row.probability), ...marks.map(({ text }) => text)].join(", ");
  return (
    <div
      id={`place-${at}`}
      class={`tile${isOutside ? " outside" : ""}${isFocus ? " focus" : ""}${isEntering ? " entering" : ""}`}
      role="option"
      aria-selected={isFocus}
      style={{ width: `${side}px`, height: `${side}px`, transform: `translate(${left}px, ${top}px)` }}
      title={one === undefined ? "" : `rank ${rank} · ${spoken}`}
      aria-label={`rank ${rank}, ${spoken}${isOutside ? ", outside" : ""}`}
      onClick={focus}
      onDblClick={look}
    >
      {one === undefined ? (
        <span class="bone" />
      ) : (
        <Picture sha256={one.row.sha256} side={side > 100 ? 384 : 192} alt="" />
      )}
      {marks.length === 0 ? null : (
        <span class="marks" aria-hidden="true">
          {marks.map(({ kind, sign }) => (
            <span key={kind} class={`mark ${kind}`}>
              {sign}
            </span>
          ))}
        </span>
      )}
      <span class="caption">
        {rank} · {one === undefined ? "" : probabilityText(one.row.probability)}
        {one?.other == null ? "" : ` · ${one.other.label}`}
      </span>
    </div>
  );
}

interface Mark {
  readonly kind: "placed" | "said" | "like" | "guard" | "other";
  readonly sign: string;
  readonly text: string;
}

function marksOf({ row, seen, leftOut, like, other }: WallRow): Mark[] {
  const marks: Mark[] = [];
  if (row.by === "label") marks.push({ kind: "placed", sign: "placed", text: "somebody placed it here" });
  else if (seen > 0) marks.push({ kind: "said", sign: "said", text: "something was said of it" });
  if (leftOut !== null) {
    const kind = leftOut.by === "guard" ? "guard" : "like";
    marks.push({ kind, sign: kind === "guard" ? "guarded" : "≈", text: leftOutText(leftOut) });
  } else if (like > 0) {
    marks.push({ kind: "like", sign: `≈ ${like}`, text: `${like} like it ${like === 1 ? "is" : "are"} left out` });
  }
  if (other !== null) marks.push({ kind: "other", sign: "≠", text: `another teacher says ${other.label}` });
  return marks;
}

/** Why an image is left out, as a sentence begins. */
export function leftOutText({ by, set, distance, partner, sha256 }: NonNullable<WallRow["leftOut"]>): string {
  if (by === "near") return `left out: ${distance} of 256 bits from a better one`;
  return partner === sha256
    ? `left out: it is in the guarded set ${set ?? ""}`
    : `left out: ${distance} of 256 bits from one of the guarded set ${set ?? ""}`;
}
