//! swift-init as the init of a container.
