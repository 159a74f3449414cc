/**
 * The image of a list that is looked at. Lists change beneath a person: what is held is the image, so that a key counts for what
 * was seen and not for what took its place.
 */
export interface Focused {
  /** Where it stood when it was looked at */
  readonly place: number;
  /** null: it had not come yet */
  readonly sha256: string | null;
  /** The person has judged it: whatever stands there next is looked at then */
  readonly isJudged: boolean;
}

export const FIRST: Focused = { place: 0, sha256: null, isJudged: false };

/** Where it stands now; one that was judged is not followed to where the verdict puts it. `findPlace`: of an image that the list has, its place. */
export function placeOf({ place, sha256, isJudged }: Focused, findPlace: (sha256: string) => number | null): number {
  return (sha256 === null || isJudged ? null : findPlace(sha256)) ?? place;
}

/** Whether a key that is pressed while `shown` stands at the place is meant for it. */
export function isMeant({ sha256, isJudged }: Focused, shown: string): boolean {
  return sha256 === null || isJudged || sha256 === shown;
}

/** What is looked at once `shown` stands at the place: what comes to an empty place, or after one that was judged, is taken; nothing else is. */
export function heldOf(focused: Focused, place: number, shown: string | null): Focused {
  if (shown === null || !isMeant(focused, shown)) return focused;
  if (focused.sha256 === shown && focused.place === place) return focused;
  return { place, sha256: shown, isJudged: focused.isJudged && focused.sha256 === shown };
}
