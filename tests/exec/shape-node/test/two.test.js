import assert from "node:assert";
import { test } from "node:test";
import { words } from "../src/words.js";

test("two", () => assert.strictEqual(words(" two  and more\n"), 3));
