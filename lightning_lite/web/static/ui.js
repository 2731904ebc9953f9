// The one place that knows which library draws the page.
export {
  h, html, render, Component, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback,
} from "./vendor/htm/standalone.module.js";
