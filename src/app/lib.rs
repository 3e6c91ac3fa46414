//! The desktop workbench: pages, panels, widgets and theme over the workspace
