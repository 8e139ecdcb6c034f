import { count } from "count";

/** The number of words in a text. */
export const words = (text) => count(text.split(/\s+/).filter((word) => word !== ""));
