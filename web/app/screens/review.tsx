import { useEffect, useRef, useState } from "preact/hooks";
import type { Review, ReviewItem } from "../../../schemas/api/images.ts";
import type { Wall } from "../../../schemas/api/whatif.ts";
import { go } from "../address.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { classUrl, withQuery } from "../calls.ts";
import { ClassPicker } from "../parts/class-picker.tsx";
import { VerdictButtons } from "../parts/closer.tsx";
import { isBoxOpen } from "../parts/kept-focus.ts";
import { Picture } from "../parts/picture.tsx";
import { Empty, Failed, Loading } from "../parts/states.tsx";
import { toast } from "../parts/toast.ts";
import {
  author,
  failureText,
  saidText,
  say,
  setAuthor,
  takeBack,
  verdictOf,
  type Said,
  type Verdict,
} from "../parts/verdicts.ts";
import { countText, probabilityText } from "../wording.ts";
import { Quarantine } from "./quarantine.tsx";

const KINDS = { doubtful: "Doubtful", unsure: "Unsure", audit: "Audit", quarantine: "Quarantine" } as const;
const ABOUT = {
  doubtful: "What the teacher was least sure of and chose all the same, the least sure first.",
  unsure: "What the teacher could not tell, whether it was chosen or not: a label is worth most here.",
  audit: "Rows drawn at random: how right the version is.",
} as const;
/** Items asked for at once */
const ITEMS = 400;

/** One image at a time, what it is said to be beside it: a key a verdict. */
export function ReviewScreen({ address, overview, watched, dataset }: ScreenProps) {
  const kind = (
    (address.query["kind"] ?? "doubtful") in KINDS ? (address.query["kind"] ?? "doubtful") : "doubtful"
  ) as keyof typeof KINDS;
  const review = useAnswer<Review>(
    withQuery(`/api/review/${kind}`, { dataset: dataset.name, limit: ITEMS }),
    watched.changes,
  );
  return (
    <section class="review">
      <header class="screen-head">
        <h1>Review</h1>
        <div class="tabs" role="group" aria-label="What to review">
          {Object.entries(KINDS).map(([name, text]) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === kind}
              onClick={() => {
                go(withQuery("/review", { dataset: dataset.name, kind: name }));
              }}
            >
              {text}
            </button>
          ))}
        </div>
        <Author standing={overview.author} isReadOnly={overview.readOnly} />
      </header>
      {review.error !== null && review.value === null ? (
        <Failed error={review.error} />
      ) : review.value === null ? (
        <Loading label="Reading the queue" />
      ) : kind === "quarantine" ? (
        <Quarantine review={review.value} isReadOnly={overview.readOnly} />
      ) : (
        <Queue
          key={`${dataset.name}/${kind}`}
          kind={kind}
          review={review.value}
          dataset={dataset.name}
          isReadOnly={overview.readOnly}
          changes={watched.changes}
        />
      )}
    </section>
  );
}

function Author({ standing, isReadOnly }: { readonly standing: string; readonly isReadOnly: boolean }) {
  const [name, set] = useState(author() ?? "");
  if (isReadOnly) return <span class="badge">read-only</span>;
  return (
    <label class="author">
      <span class="fine">as</span>
      <input
        type="text"
        value={name}
        placeholder={standing}
        maxLength={200}
        aria-label="Who says so"
        onInput={(event) => {
          set(event.currentTarget.value);
          setAuthor(event.currentTarget.value);
        }}
      />
    </label>
  );
}

interface QueueProps {
  readonly kind: "doubtful" | "unsure" | "audit";
  readonly review: Review;
  readonly dataset: string;
  readonly isReadOnly: boolean;
  readonly changes: number;
}

/** Of an item of a queue: an image may stand in several classes. */
const keyOf = ({ sha256, class: index }: ReviewItem): string => `${sha256 ?? ""}/${index ?? ""}`;
const isJudged = ({ said }: ReviewItem): boolean => said !== null && said.verdict !== "withdrawn";

function Queue({ kind, review, dataset, isReadOnly, changes }: QueueProps) {
  const { items } = review;
  const [held, setHeld] = useState(() => {
    const at = Math.max(
      0,
      items.findIndex((one) => !isJudged(one)),
    );
    return { at, item: items[at] };
  });
  // The queue may change beneath an image that is looked at: it stays before one's eyes, at its place where it still has one.
  const found = held.item === undefined ? -1 : items.findIndex((one) => keyOf(one) === keyOf(held.item!));
  const at = found >= 0 ? found : Math.max(0, Math.min(held.at, items.length - 1));
  const item = found >= 0 ? items[found] : (held.item ?? items[at]);
  const isOut = found < 0 && held.item !== undefined;
  const setAt = (next: number): void => {
    setHeld({ at: next, item: items[next] });
  };
  useEffect(() => {
    if (held.item === undefined && items.length > 0) setAt(0);
  });
  const [isPicking, setPicking] = useState(false);
  const last = useRef<(Said & { readonly at: number; readonly item: ReviewItem }) | null>(null);
  const judge = async (verdict: Verdict, label = item?.label ?? null): Promise<void> => {
    setPicking(false);
    if (item?.sha256 == null || label === null || isReadOnly) return;
    try {
      const said = await say(verdict, { sha256: item.sha256, seen: item.seen }, label);
      last.current = said.isNew ? { ...said, at, item } : null;
      toast({ kind: "done", text: `It ${said.text}.`, undo: said.isNew ? () => void back() : undefined });
      // Where it is in the queue no more, the one at its place is next.
      const from = isOut ? at : at + 1;
      const next = items.findIndex((one, index) => index >= from && !isJudged(one));
      setAt(next < 0 ? Math.min(from, items.length - 1) : next);
    } catch (error) {
      toast({ kind: "failed", text: failureText(error) });
    }
  };
  const back = async (): Promise<void> => {
    const said = last.current;
    if (said === null) return;
    last.current = null;
    try {
      await takeBack(said);
      setHeld({ at: said.at, item: said.item });
      toast({ kind: "done", text: "Taken back: what was said before holds again." });
    } catch (error) {
      toast({ kind: "failed", text: failureText(error) });
    }
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (
        event.metaKey ||
        event.ctrlKey ||
        event.altKey ||
        isBoxOpen() ||
        (event.target as Element).matches("input, select")
      )
        return;
      const verdict = verdictOf(event.key);
      if (verdict !== null) void judge(verdict);
      else if (event.key.toLowerCase() === "u") void back();
      else if (event.key === "4" && !isReadOnly) setPicking(true);
      else if (event.key === "ArrowRight" || event.key === "j") setAt(Math.min(items.length - 1, at + 1));
      else if (event.key === "ArrowLeft" || event.key === "k") setAt(Math.max(0, at - 1));
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
    };
  });
  if (item === undefined) {
    return (
      <Empty title="Nothing to review">
        <p>
          {kind === "unsure"
            ? "Nothing is archived yet."
            : `The newest version of ${dataset} has no rows of this kind.`}
        </p>
      </Empty>
    );
  }
  const { precision } = review;
  return (
    <>
      <div class="progress-line">
        <span class="meter" role="img" aria-label={`${review.done} of ${review.total} judged`}>
          <span style={{ width: `${(100 * review.done) / Math.max(1, review.total)}%` }} />
        </span>
        <span>
          <strong>{countText(review.done)}</strong> of {countText(review.total)} judged
        </span>
        {precision === null ? (
          <span class="fine">
            {ABOUT[kind]}
            {review.basis === null ? "" : ` ${review.basis.charAt(0).toUpperCase()}${review.basis.slice(1)}.`}
          </span>
        ) : (
          <span>
            precision <strong>{precision.share.toFixed(2)}</strong>
            <span class="fine">
              {" "}
              {precision.low.toFixed(2)} to {precision.high.toFixed(2)} after {countText(precision.judged)}
            </span>
          </span>
        )}
      </div>
      <div class="review-body">
        <div class="one">
          <div class="large">
            <Picture sha256={item.sha256} side={1024} alt={`Is this ${item.label ?? ""}?`} />
          </div>
          <p class="question">
            Is this <strong>{item.label}</strong>?
          </p>
          <p class="fine">
            {item.why}
            {item.rank === null ? "" : ` · rank ${item.rank}, ${probabilityText(item.probability)}`}
            {item.said === null ? "" : ` · ${saidText(item.said)}`}
            {isOut ? " · no longer in this queue" : ""}
          </p>
          {isReadOnly ? (
            <p class="fine">This console is read-only: it takes no verdicts.</p>
          ) : (
            <VerdictButtons
              label={item.label ?? ""}
              judge={(verdict) => void judge(verdict)}
              pick={() => {
                setPicking(true);
              }}
            />
          )}
          {isPicking ? (
            <ClassPicker
              take={(label) => void judge("is", label)}
              close={() => {
                setPicking(false);
              }}
            />
          ) : null}
          <div class="steps">
            <button
              type="button"
              class="quiet"
              disabled={at === 0}
              onClick={() => {
                setAt(at - 1);
              }}
            >
              <kbd>←</kbd> before
            </button>
            <span class="fine">
              {at + 1} of {items.length}
            </span>
            <button
              type="button"
              class="quiet"
              disabled={at >= items.length - 1}
              onClick={() => {
                setAt(at + 1);
              }}
            >
              after <kbd>→</kbd>
            </button>
            {item.sha256 === null ? null : <a href={`/image/${item.sha256}`}>its life</a>}
          </div>
        </div>
        {item.label === null ? null : <Beside dataset={dataset} label={item.label} changes={changes} />}
      </div>
    </>
  );
}

/** The class's best for comparison, and its cut-off: who moves up where one is taken out. */
function Beside({
  dataset,
  label,
  changes,
}: {
  readonly dataset: string;
  readonly label: string;
  readonly changes: number;
}) {
  const path = `/api/datasets/${encodeURIComponent(dataset)}/classes/${encodeURIComponent(`name:${label}`)}/wall`;
  const best = useAnswer<Wall>(`${path}?limit=9`, changes);
  const kept = best.value?.kept ?? null;
  const edge = useAnswer<Wall>(kept === null ? null : `${path}?from=${Math.max(0, kept - 6)}&limit=12`, changes);
  return (
    <aside class="beside">
      <h2>The best of {label}</h2>
      <div class="nine">
        {(best.value?.rows ?? []).map(({ row }) => (
          <Picture key={row.sha256} sha256={row.sha256} side={192} alt="" />
        ))}
      </div>
      <h2>Its cut-off</h2>
      <p class="fine">
        {best.value === null
          ? ""
          : `${countText(best.value.kept)} of ${countText(best.value.k)} kept, down to ${probabilityText(best.value.cutoff)}${best.value.retracted === 0 ? "" : `; ${countText(best.value.retracted)} taken out`}`}
      </p>
      <ol class="edge">
        {(edge.value?.rows ?? []).map(({ row, place }) => (
          <li key={row.sha256} class={place >= (edge.value?.kept ?? 0) ? "outside" : ""}>
            <Picture sha256={row.sha256} side={96} alt={`rank ${place + 1}`} />
            <span class="fine">{place + 1}</span>
          </li>
        ))}
      </ol>
      <a href={withQuery(classUrl(label), { dataset })}>Open its wall</a>
    </aside>
  );
}
