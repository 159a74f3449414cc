import { isSluiceError, type SluiceError } from "../../schemas/errors.js";

/** The image, or where it lies, or what is wrong with it. Throws what is not the image's own fault. */
export async function imageOrRefusal<Found>(opening: Promise<Found>): Promise<Found | SluiceError> {
  try {
    return await opening;
  } catch (error) {
    if (isSluiceError(error) && error.code.startsWith("E_IMAGE_")) return error;
    throw error;
  }
}
