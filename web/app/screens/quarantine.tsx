import { useState } from "preact/hooks";
import type { Review, ReviewItem } from "../../../schemas/api/images.ts";
import { ClassPicker } from "../parts/class-picker.tsx";
import { Picture } from "../parts/picture.tsx";
import { Command, Empty } from "../parts/states.tsx";
import { retryRecords } from "../parts/retry-records.ts";
import { toast } from "../parts/toast.ts";
import { failureText, saidText, say, takeBack } from "../parts/verdicts.ts";
import { countText, shareText } from "../wording.ts";

interface QuarantineProps {
  readonly review: Review;
  readonly isReadOnly: boolean;
}

const nameOf = ({ refused, uri }: ReviewItem): string => `${refused?.partition ?? ""}/${refused?.offset ?? ""} ${uri}`;

/** What could not be used, and why: to be taken up again, set aside, or labelled. */
export function Quarantine({ review, isReadOnly }: QuarantineProps) {
  const [code, setCode] = useState<string | null>(null);
  const [retried, setRetried] = useState<ReadonlySet<string>>(new Set());
  const [labelling, setLabelling] = useState<ReviewItem | null>(null);
  const shown = code === null ? review.items : review.items.filter(({ refused }) => refused?.code === code);
  if (review.total === 0) {
    return (
      <Empty title="Nothing is in quarantine">
        <p>Every image that came could be used.</p>
      </Empty>
    );
  }
  const retry = async (items: readonly ReviewItem[]): Promise<void> => {
    if (await retryRecords(items)) setRetried(new Set([...retried, ...items.map(nameOf)]));
  };
  const judge = async (item: ReviewItem, label: string | null): Promise<void> => {
    setLabelling(null);
    if (item.sha256 === null) return;
    try {
      const said = await say(label === null ? "none" : "is", { sha256: item.sha256, seen: item.seen }, label ?? "");
      const undo = async (): Promise<void> => {
        try {
          await takeBack(said);
          toast({ kind: "done", text: "Taken back." });
        } catch (error) {
          toast({ kind: "failed", text: failureText(error) });
        }
      };
      toast({
        kind: "done",
        text: label === null ? "Set aside: it is of no class." : `It is ${label}.`,
        undo: said.isNew ? () => void undo() : undefined,
      });
    } catch (error) {
      toast({ kind: "failed", text: failureText(error) });
    }
  };
  return (
    <div class="quarantine">
      <div class="chips" role="group" aria-label="Reasons">
        <button
          type="button"
          class="chip"
          aria-pressed={code === null}
          onClick={() => {
            setCode(null);
          }}
        >
          all {countText(review.total)}
        </button>
        {Object.entries(review.byCode)
          .toSorted(([, a], [, b]) => b - a)
          .map(([name, count]) => (
            <button
              key={name}
              type="button"
              class="chip"
              aria-pressed={code === name}
              onClick={() => {
                setCode(name);
              }}
            >
              {name} {countText(count)} <span class="fine">{shareText(count / review.total)}</span>
            </button>
          ))}
        {isReadOnly ? null : (
          <button type="button" class="end" onClick={() => void retry(shown)}>
            Retry {shown.length === 1 ? "it" : `all ${countText(shown.length)}`}
          </button>
        )}
      </div>
      <ul class="refused">
        {shown.map((one) => (
          <li key={nameOf(one)}>
            <Picture sha256={one.sha256} side={192} alt="" />
            <div>
              <p class="uri">{one.uri}</p>
              <p class="fine">{one.why}</p>
              <p class="fine">
                {retried.has(nameOf(one)) ? "Taken up again: it waits to be scored." : ""}
                {one.said === null ? "" : ` ${saidText(one.said)}`}
              </p>
              {isReadOnly ? null : (
                <div class="verdicts" role="group" aria-label={`What to do with ${one.uri}`}>
                  <button type="button" disabled={retried.has(nameOf(one))} onClick={() => void retry([one])}>
                    Retry
                  </button>
                  {one.sha256 === null ? null : (
                    <>
                      <button type="button" onClick={() => void judge(one, null)}>
                        Set aside
                      </button>
                      <button
                        type="button"
                        onClick={() => {
                          setLabelling(one);
                        }}
                      >
                        Label …
                      </button>
                    </>
                  )}
                </div>
              )}
            </div>
          </li>
        ))}
      </ul>
      {labelling === null ? null : (
        <ClassPicker
          take={(label) => void judge(labelling, label)}
          close={() => {
            setLabelling(null);
          }}
        />
      )}
      {review.items.length < review.total ? (
        <p class="fine">
          The first {countText(review.items.length)}; <code>sluice quarantine list --json</code> has all.
        </p>
      ) : null}
      <p class="fine">After settings were changed, all of a reason are taken up again and scored at once by</p>
      <Command text={`sluice quarantine retry${code === null ? "" : ` --code ${code}`}`} />
    </div>
  );
}
