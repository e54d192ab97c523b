"""The rankers: their configurations, networks, trees and references."""
