import type { Wall, WallRow } from "../../../schemas/api/whatif.ts";
import { bytesText, plural, probabilityText, timeText } from "../wording.ts";
import { Picture } from "./picture.tsx";
import type { Verdict } from "./verdicts.ts";
import { leftOutText } from "./wall-tile.tsx";

interface CloserProps {
  readonly row: WallRow;
  readonly wall: Wall;
  readonly place: number;
  readonly isKept: boolean;
  readonly isReadOnly: boolean;
  readonly judge: (verdict: Verdict) => void;
  readonly close: () => void;
}

/** One image of a wall, large, with what its row says. */
export function Closer({ row, wall, place, isKept, isReadOnly, judge, close }: CloserProps) {
  const { row: image, versionRank, leftOut, like, other } = row;
  return (
    <aside class="closer" aria-label={`Rank ${place + 1} of ${wall.label}`}>
      <div class="closer-head">
        <strong>Rank {place + 1}</strong>
        <span class="fine">
          {isKept ? "kept" : "outside"}
          {versionRank === null ? "" : ` · ${versionRank} in version ${wall.version ?? ""}`}
        </span>
        <button type="button" class="quiet" aria-label="Close" onClick={close}>
          ×
        </button>
      </div>
      <div class="large">
        <Picture sha256={image.sha256} side={1024} alt={`Rank ${place + 1} of ${wall.label}`} />
      </div>
      {isReadOnly ? null : <VerdictButtons label={wall.label} judge={judge} />}
      {image.by === "label" ? (
        <p class="fine">Somebody said that it is of this class: it stands before what the teacher chose.</p>
      ) : null}
      {leftOut === null ? null : (
        <p class="fine">
          {capital(leftOutText(leftOut))}. <a href={`/image/${leftOut.partner}`}>Look at that one</a>
        </p>
      )}
      {like === 0 ? null : <p class="fine">{plural(like, "image")} like it left out.</p>}
      {other === null ? null : (
        <p class="fine">
          Another teacher says <strong>{other.label}</strong>, {probabilityText(other.probability)}.
        </p>
      )}
      <dl class="facts-list">
        <dt>probability</dt>
        <dd>{probabilityText(image.probability)}</dd>
        <dt>picture</dt>
        <dd>
          {image.width} × {image.height}, {bytesText(image.sizeBytes)}
        </dd>
        <dt>seen</dt>
        <dd>{timeText(image.eventTimeMs)}</dd>
        <dt>at</dt>
        <dd class="uri">{image.uri}</dd>
        {image.licence === null ? null : (
          <>
            <dt>licence</dt>
            <dd>{image.licence}</dd>
          </>
        )}
        <dt>SHA-256</dt>
        <dd class="uri">{image.sha256}</dd>
      </dl>
      <a class="button" href={`/image/${image.sha256}`}>
        Its life
      </a>
    </aside>
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export function VerdictButtons({
  label,
  judge,
  pick,
}: {
  readonly label: string;
  readonly judge: (verdict: Verdict) => void;
  /** To say that it is of another class */
  readonly pick?: () => void;
}) {
  return (
    <div class="verdicts" role="group" aria-label="Say what it is">
      <button
        type="button"
        class="right"
        onClick={() => {
          judge("is");
        }}
      >
        <kbd>1</kbd> {label}
      </button>
      <button
        type="button"
        onClick={() => {
          judge("not");
        }}
      >
        <kbd>2</kbd> not {label}
      </button>
      <button
        type="button"
        onClick={() => {
          judge("none");
        }}
      >
        <kbd>3</kbd> no class
      </button>
      <button
        type="button"
        onClick={() => {
          judge("duplicate");
        }}
      >
        <kbd>D</kbd> duplicate
      </button>
      {pick === undefined ? null : (
        <button type="button" onClick={pick}>
          <kbd>4</kbd> another …
        </button>
      )}
    </div>
  );
}
